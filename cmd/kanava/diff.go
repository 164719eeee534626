package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/kanava-go/kanava/manifest"
)

func diffCommand() *cobra.Command {
	var from source
	cmd := &cobra.Command{
		Use:   "diff OLD NEW",
		Short: "Tell what changes break clients",
		Long: `Compares two manifests. It fails if clients that were generated from OLD would not
work with NEW, unless NEW has a higher kanava.Options.Level.`,
		Example: `  kanava diff kanava.json ./cmd/server`,
		Args:    exactly(2, "OLD and NEW"),
		RunE: func(cmd *cobra.Command, args []string) error {
			older, err := from.load(cmd, args[:1])
			if err != nil {
				return err
			}
			newer, err := from.load(cmd, args[1:2])
			if err != nil {
				return err
			}
			changes := manifest.Diff(older, newer)
			breaking := false
			for _, c := range changes {
				fmt.Fprintln(cmd.OutOrStdout(), c)
				breaking = breaking || c.Breaking
			}
			switch {
			case len(changes) == 0:
				fmt.Fprintln(cmd.OutOrStdout(), "no change that clients notice")
			case breaking && newer.Level <= older.Level:
				fmt.Fprintf(cmd.ErrOrStderr(), "kanava: breaking changes at level %d: raise kanava.Options.Level to %d\n", newer.Level, older.Level+1)
				return errReported
			}
			return nil
		},
	}
	from.flags(cmd)
	return cmd
}
