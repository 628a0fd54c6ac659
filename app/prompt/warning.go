package prompt

// Codes of warnings. The engine finds them; translations are keyed by them.
const (
	WarnNoName         = "no-name"         // a bare address that the program never looked up
	WarnInlineCode     = "inline-code"     // an interpreter runs code from its command line or input
	WarnWritableFolder = "writable-folder" // the program is in a folder that its user can write to; Value: the folder
	WarnFresh          = "fresh"           // the program's file changed within the last day
	WarnReplaced       = "replaced"        // another file than the one that was allowed is in the program's place
	WarnDeleted        = "deleted"         // the program's file is gone
)
