package notify

import (
	"fmt"

	"github.com/gen2brain/beeep"

	"sekisho/assets"
)

// Desktop shows a notification with the desktop's own means.
func Desktop(title, message string) error {
	beeep.AppName = "Sekisho"
	if err := beeep.Notify(title, message, assets.Tray("asking")); err != nil {
		return fmt.Errorf("show a notification: %w", err)
	}
	return nil
}
