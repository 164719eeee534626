package main

import (
	"os"
	"strings"
	"testing"
)

// The guide says that it shows all of this file. internal/peertest runs nginx
// with it.
func TestGuideShowsNginxConf(t *testing.T) {
	conf, err := os.ReadFile("nginx.conf")
	if err != nil {
		t.Fatal(err)
	}
	guide, err := os.ReadFile("../../docs/guide/deployment.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(guide), "```nginx\n"+string(conf)+"```\n") {
		t.Error("docs/guide/deployment.md and nginx.conf differ: copy all of the file into the guide's nginx block")
	}
}
