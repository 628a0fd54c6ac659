package prompt

// Codes of warnings. Translations are keyed by them.
const (
	WarnNoName         = "no-name"         // a bare address that the program never looked up
	WarnInlineCode     = "inline-code"     // an interpreter runs code from its command line or input
	WarnWritableFolder = "writable-folder" // the program is in a folder that its user can write to; Value: the folder
	WarnFresh          = "fresh"           // the file appeared within the last day, from no package, where its user can write; Value: the folder
	WarnReplaced       = "replaced"        // another file than the one that was allowed is in the program's place
	WarnDeleted        = "deleted"         // the program's file is gone
	WarnModified       = "modified"        // the file is no longer what its package installed; Value: the package
	WarnByBrowser      = "by-browser"      // a browser wrote the file; Value: its name
	WarnByMail         = "by-mail"         // a mail program wrote it; Value: its name
	WarnByFresh        = "by-fresh"        // a program that was itself fresh wrote it; Value: its name
	WarnFetched        = "fetched"         // the file is marked as fetched from the network; Value: the host
	WarnListed         = "listed"          // on a blocklist that warns; Value: the list's name
	WarnFromOffice     = "from-office"     // an office or mail program started the program; Value: its name
)
