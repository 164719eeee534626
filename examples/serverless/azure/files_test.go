package main

import (
	"encoding/json"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func parse(t *testing.T, name string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(read(t, name)), into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// The host starts the program that the Makefile builds, and forwards requests as they
// have come.
func TestHost(t *testing.T) {
	var host struct {
		Version       string `json:"version"`
		CustomHandler struct {
			Description struct {
				Path string `json:"defaultExecutablePath"`
			} `json:"description"`
			Forward bool `json:"enableForwardingHttpRequest"`
		} `json:"customHandler"`
		Extensions json.RawMessage `json:"extensions"`
	}
	parse(t, "host.json", &host)
	exe := host.CustomHandler.Description.Path
	if host.Version != "2.0" || exe == "" || !host.CustomHandler.Forward {
		t.Errorf("host.json: %+v", host)
	}
	if host.Extensions != nil { // could change /api, which the program's paths begin with
		t.Errorf("host.json has extensions: %s", host.Extensions)
	}
	for _, part := range []string{"-o build/" + exe + " ", "zip -qr app.zip " + exe + " host.json webpubsub token\n", "cp -r host.json webpubsub token build/"} {
		if !strings.Contains(read(t, "Makefile"), part) {
			t.Errorf("the Makefile lacks %q", part)
		}
	}
}

// Each path that the program serves is one of a function, with the methods that it
// takes; CORS of the host would answer OPTIONS in its place.
func TestFunctions(t *testing.T) {
	main := read(t, "main.go")
	var served []string
	for _, m := range regexp.MustCompile(`mux\.Handle\("(?:[A-Z]+ )?/api/(\w+)"`).FindAllStringSubmatch(main, -1) {
		served = append(served, m[1])
	}
	slices.Sort(served)
	if !slices.Equal(served, []string{"token", "webpubsub"}) {
		t.Fatalf("the program serves %q", served)
	}
	methods := map[string][]string{"webpubsub": {"post", "options"}, "token": {"get"}}
	for _, name := range served {
		var f struct {
			Bindings []struct {
				Type      string   `json:"type"`
				Direction string   `json:"direction"`
				AuthLevel string   `json:"authLevel"`
				Methods   []string `json:"methods"`
				Route     string   `json:"route"`
			} `json:"bindings"`
		}
		parse(t, path.Join(name, "function.json"), &f)
		if len(f.Bindings) != 2 {
			t.Fatalf("%s has %d bindings", name, len(f.Bindings))
		}
		in, out := f.Bindings[0], f.Bindings[1]
		if in.Type != "httpTrigger" || in.Direction != "in" || in.AuthLevel != "anonymous" || in.Route != name || !slices.Equal(in.Methods, methods[name]) {
			t.Errorf("%s: %+v", name, in)
		}
		if out.Type != "http" || out.Direction != "out" {
			t.Errorf("%s: %+v", name, out)
		}
	}
	if strings.Contains(read(t, "main.bicep"), "cors") {
		t.Error("main.bicep sets CORS")
	}
}

// block returns the text of a resource.
func block(t *testing.T, bicep, name string) string {
	t.Helper()
	m := regexp.MustCompile(`(?ms)^resource ` + name + ` '[^']+' = \{\n.*?^\}`).FindString(bicep)
	if m == "" {
		t.Fatalf("there is no resource %s", name)
	}
	return m
}

// main.bicep gives the program what it asks for, and its hub the events that the
// transport needs.
func TestBicep(t *testing.T) {
	bicep := read(t, "main.bicep")
	main := read(t, "main.go")
	given := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^    (CHAT_\w+): `).FindAllStringSubmatch(block(t, bicep, "settings"), -1) {
		given[m[1]] = true
	}
	asked := regexp.MustCompile(`os\.Getenv\("(\w+)"\)`).FindAllStringSubmatch(main, -1)
	if len(asked) != 5 {
		t.Errorf("the program asks for %d variables", len(asked))
	}
	for _, m := range asked {
		if !given[m[1]] {
			t.Errorf("%s is not given", m[1])
		}
		delete(given, m[1])
	}
	if len(given) > 0 {
		t.Errorf("nobody asks for %v", given)
	}
	name := regexp.MustCompile(`(?m)^\thub += "(\w+)"`).FindStringSubmatch(main)
	if name == nil {
		t.Fatal("the program has no hub")
	}
	squeeze := strings.NewReplacer(" ", "", "\n", "")
	for resource, parts := range map[string][]string{
		"hub": {
			"name: '" + name[1] + "'", "parent: service", "anonymousConnectPolicy: 'allow'", "userEventPattern: '*'",
			"systemEvents: ['connect' 'connected' 'disconnected']", "urlTemplate: 'https://${app.properties.defaultHostName}/api/webpubsub'",
		},
		"app":      {"httpsOnly: true", "type: 'SystemAssigned'", "name: 'custom'", "kind: 'functionapp,linux'"},
		"storage":  {"allowSharedKeyAccess: false", "allowBlobPublicAccess: false"},
		"access":   {"scope: storage", "principalId: app.identity.principalId"},
		"server":   {"version: '16'"},
		"database": {"name: 'chat'", "parent: server"},
		"settings": {"postgres://chat:", "sslmode=verify-full"}, // not the administrator
	} {
		text := squeeze.Replace(block(t, bicep, resource))
		for _, part := range parts {
			if !strings.Contains(text, squeeze.Replace(part)) {
				t.Errorf("%s lacks %s", resource, part)
			}
		}
	}
	for _, param := range []string{"secret", "adminPassword", "databasePassword"} {
		if !regexp.MustCompile(`@secure\(\)\n@minLength\(\d+\)\nparam ` + param + ` string\n`).MatchString(bicep) {
			t.Errorf("%s is not secure, has a default, or may be short", param)
		}
	}
	if n := strings.Count(bicep, "roleAssignments@"); n != 1 {
		t.Errorf("%d roles are assigned", n)
	}
}

// Names that main.bicep uses are declared there.
func TestBicepNames(t *testing.T) {
	bicep := read(t, "main.bicep")
	bicep = regexp.MustCompile(`(?m)^//.*$`).ReplaceAllString(bicep, "")
	declared := map[string]bool{"subscription": true}
	for _, m := range regexp.MustCompile(`(?m)^(?:param|var|resource) (\w+)`).FindAllStringSubmatch(bicep, -1) {
		declared[m[1]] = true
	}
	used := 0
	for _, m := range regexp.MustCompile(`\$\{(\w+)|: (\w+)(?:\.|\n)|(\w+)\.(?:properties|identity|id|name)\b|parent: (\w+)`).FindAllStringSubmatch(bicep, -1) {
		name := strings.Join(m[1:], "")
		if name == "true" || name == "false" || regexp.MustCompile(`^\d+$`).MatchString(name) {
			continue
		}
		used++
		if !declared[name] {
			t.Errorf("%s is used in %q, and not declared", name, m[0])
		}
	}
	if used < 20 {
		t.Errorf("only %d names are used", used)
	}
	if open, closed := strings.Count(bicep, "{"), strings.Count(bicep, "}"); open != closed {
		t.Errorf("%d braces are opened, %d closed", open, closed)
	}
}

// setup.sql makes the role that the program signs in as, and gives it no more than
// engine/postgres asks for.
func TestSetup(t *testing.T) {
	sql := regexp.MustCompile(`(?m)^--.*\n`).ReplaceAllString(read(t, "setup.sql"), "")
	want := "CREATE ROLE chat LOGIN PASSWORD :'password';\nREVOKE ALL ON DATABASE chat FROM PUBLIC;\nGRANT CONNECT, CREATE ON DATABASE chat TO chat;\n"
	if sql != want {
		t.Errorf("setup.sql is\n%s", sql)
	}
}
