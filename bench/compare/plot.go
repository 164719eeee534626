package main

import (
	"fmt"
	"html"
	"strings"
)

// plot draws a panel of bars for each metric; shorter is better in all of them.
func plot(list []table) string {
	const (
		width, bar, gap, head, left, right = 760, 18, 6, 34, 120, 90
	)
	height := 20
	for _, t := range list {
		height += head + len(t.rows)*(bar+gap) + 18
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="system-ui, sans-serif" font-size="13" role="img" aria-label="Kanava beside other servers; shorter bars are better">`+"\n", width, height)
	b.WriteString("<style>\n.t{fill:#1c2733;font-weight:600}.n{fill:#3d4b5a}.u{fill:#5b6875}.b{fill:#9fb3c8}.k{fill:#0b7285}.bg{fill:#fff}\n" +
		"@media (prefers-color-scheme:dark){.t{fill:#e9eef3}.n{fill:#c3ccd5}.u{fill:#96a3b0}.b{fill:#52657a}.k{fill:#3bc9db}.bg{fill:#12181f}}\n</style>\n")
	fmt.Fprintf(&b, `<rect class="bg" width="%d" height="%d"/>`+"\n", width, height)
	y := 10
	for _, t := range list {
		most := 0.0
		for _, r := range t.rows {
			most = max(most, r.median)
		}
		fmt.Fprintf(&b, `<text class="t" x="12" y="%d">%s <tspan class="u" font-weight="400">%s</tspan></text>`+"\n", y+20, html.EscapeString(t.metric), html.EscapeString(t.unit))
		y += head
		for _, r := range t.rows {
			class, long := "b", 1.0
			if r.server == "kanava" {
				class = "k"
			}
			if most > 0 {
				long = max(1, r.median/most*(width-left-right))
			}
			fmt.Fprintf(&b, `<text class="n" x="%d" y="%d" text-anchor="end">%s</text><rect class="%s" x="%d" y="%d" width="%.1f" height="%d" rx="2"/><text class="n" x="%.1f" y="%d">%s</text>`+"\n",
				left-8, y+bar-5, html.EscapeString(r.server), class, left, y, long, bar, left+long+6, y+bar-5, digits(r.median))
			y += bar + gap
		}
		y += 18
	}
	b.WriteString("</svg>\n")
	return b.String()
}
