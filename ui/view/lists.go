package view

import (
	"strings"

	"sekisho/ui/text"
)

const listAbout = "list.about."

// ListAbout says what a list of the catalogue is against, by what api.KnownList.About says.
func ListAbout(about string) string {
	return text.T("list.about." + strings.TrimPrefix(about, listAbout))
}
