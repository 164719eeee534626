package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// row is what is known of one server in one metric.
type row struct {
	server           string
	median, min, max float64
	ratio            float64 // to the first server of the table
}

// table is one metric.
type table struct {
	metric, unit string
	rows         []row
}

// tables sums samples up, in the order in which they came.
func tables(samples []sample) []table {
	var out []table
	values := make(map[[2]string][]float64)
	for _, s := range samples {
		i := slices.IndexFunc(out, func(t table) bool { return t.metric == s.Metric })
		if i < 0 {
			i, out = len(out), append(out, table{metric: s.Metric, unit: s.Unit})
		}
		key := [2]string{s.Metric, s.Server}
		if values[key] == nil {
			out[i].rows = append(out[i].rows, row{server: s.Server})
		}
		values[key] = append(values[key], s.Value)
	}
	for i := range out {
		for j := range out[i].rows {
			r := &out[i].rows[j]
			v := values[[2]string{out[i].metric, r.server}]
			slices.Sort(v)
			r.median, r.min, r.max = median(v), v[0], v[len(v)-1]
			r.ratio = r.median / out[i].rows[0].median
		}
	}
	return out
}

func median(sorted []float64) float64 {
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// write makes a directory with the table, the plot and all samples.
func write(ctx context.Context, o options, samples []sample, faults []error) error {
	dir := filepath.Join(o.out, time.Now().Format("2006-01-02-1504"))
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	all, err := json.MarshalIndent(samples, "", "  ")
	if err != nil {
		return err
	}
	list := tables(samples)
	for name, text := range map[string]string{
		"samples.json": string(all) + "\n",
		"README.md":    markdown(list, about(ctx, o), faults),
		"plot.svg":     plot(list),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil { //nolint:gosec // to be committed
			return err
		}
	}
	fmt.Println("written to", dir)
	return nil
}

func markdown(list []table, about string, faults []error) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Kanava beside other servers\n\n%s\n![](plot.svg)\n", about)
	if len(faults) > 0 {
		b.WriteString("\n## What failed\n\n")
	}
	for _, err := range faults {
		first, _, _ := strings.Cut(err.Error(), "\n")
		fmt.Fprintf(&b, "- %s\n", first)
	}
	for _, t := range list {
		fmt.Fprintf(&b, "\n## %s\n\n| server | %s, median | least–most | × %s |\n| --- | --- | --- | --- |\n", t.metric, t.unit, t.rows[0].server)
		for _, r := range t.rows {
			fmt.Fprintf(&b, "| %s | %s | %s–%s | %.2f |\n", r.server, digits(r.median), digits(r.min), digits(r.max), r.ratio)
		}
	}
	return b.String()
}

// digits writes three digits that matter.
func digits(x float64) string {
	switch {
	case x >= 100:
		return fmt.Sprintf("%.0f", x)
	case x >= 10:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.2f", x)
}

// about says on what, with what and how it was measured.
func about(ctx context.Context, o options) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s; %s, %d CPUs: the server on one, the load on the rest. Medians of %d samples of %v, taken in turn.\n\n",
		time.Now().Format(time.DateOnly), processor(), runtime.NumCPU()+1, o.rounds, o.time)
	for _, v := range [][]string{
		{"git", "describe", "--always", "--dirty"},
		{"uname", "-sr"},
		{"go", "version"},
		{"node", "--version"},
		{filepath.Join(peers, "js", "node_modules", ".bin", "bun"), "--version"},
	} {
		out, err := exec.CommandContext(ctx, v[0], v[1:]...).Output() //nolint:gosec // our own commands
		if err == nil {
			fmt.Fprintf(&b, "- `%s %s`: %s\n", filepath.Base(v[0]), strings.Join(v[1:], " "), strings.TrimSpace(string(out)))
		}
	}
	fmt.Fprintf(&b, "- versions of the other servers: `bench/peers/go.mod` and `bench/peers/js/package.json`\n- command: `go run ./bench/compare %s`\n", strings.Join(os.Args[1:], " "))
	return b.String()
}

func processor() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, model, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(model)
		}
	}
	return runtime.GOARCH
}
