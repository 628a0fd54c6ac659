package main

import (
	"bufio"
	"os"

	"github.com/spf13/cobra"
)

func (c *ctl) backup() *cobra.Command {
	return &cobra.Command{
		Use:   "backup FILE",
		Short: "Write everything that is remembered to a file",
		Long:  `Writes rules, settings and history to a file that only you can read (administrators only).`,
		Example: `  sudo sekishoctl backup sekisho.backup
  sudo sekishoctl backup - > sekisho.backup`,
		Args: takes("a FILE to write"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if args[0] == "-" {
				w := bufio.NewWriter(c.out)
				if err := c.service().Backup(cmd.Context(), w); err != nil {
					return err
				}
				return w.Flush()
			}
			var written int64
			if err := writeWhole(args[0], func(f *os.File) error {
				if err := c.service().Backup(cmd.Context(), f); err != nil {
					return err
				}
				info, err := f.Stat()
				if err == nil {
					written = info.Size()
				}
				return err
			}); err != nil {
				return err
			}
			if c.json {
				return c.printJSON(map[string]any{"file": args[0], "bytes": written})
			}
			c.printf("%s written to %s.\n", size(uint64(written)), word(args[0]))
			return nil
		},
	}
}

func (c *ctl) restore() *cobra.Command {
	return &cobra.Command{
		Use:   "restore FILE",
		Short: "Put a backup in place of everything that is remembered",
		Long: `Puts what backup wrote in place of all rules, settings and history (administrators only).
What was there before is written to a file beside it first. A terminal is asked
whether you are sure.`,
		Example: "  sudo sekishoctl restore sekisho.backup",
		Args:    takes("a FILE that backup wrote"),
		RunE: func(cmd *cobra.Command, args []string) error {
			r := c.in
			if args[0] != "-" {
				f, err := os.Open(args[0])
				if err != nil {
					return fileError("read", args[0], err)
				}
				defer f.Close()
				r = f
			}
			if err := c.sure(cmd.Context(), "Put it in place of all rules, settings and history?"); err != nil {
				return err
			}
			before, err := keepBefore(args[0], ".backup", func(f *os.File) error { return c.service().Backup(cmd.Context(), f) })
			if err != nil {
				return err
			}
			if err := c.service().Restore(cmd.Context(), r); err != nil {
				_ = os.Remove(before) // nothing was replaced
				return badFile(args[0], err)
			}
			if c.json {
				return c.printJSON(map[string]any{"restored": args[0], "before": before})
			}
			c.printf("%s is restored. What was there before is in %s.\n", word(args[0]), word(before))
			return nil
		},
	}
}
