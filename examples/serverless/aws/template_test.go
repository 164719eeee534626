package main

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// readTemplate returns template.yaml, also as text. References are in it as strings.
func readTemplate(t *testing.T) (template map[string]any, text string) {
	t.Helper()
	data, err := os.ReadFile("template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(data, &template); err != nil {
		t.Fatal(err)
	}
	return template, string(data)
}

// at returns what stands at a path of names and indexes.
func at(t *testing.T, v any, path ...any) any {
	t.Helper()
	for i, step := range path {
		switch name := step.(type) {
		case string:
			m, ok := v.(map[string]any)
			if v = m[name]; !ok || v == nil {
				t.Fatalf("there is no %v", path[:i+1])
			}
		case int:
			v = v.([]any)[name]
		}
	}
	return v
}

// property is at, below the properties of a resource.
func property(t *testing.T, template any, resource string, path ...any) any {
	t.Helper()
	return at(t, template, append([]any{"Resources", resource, "Properties"}, path...)...)
}

// What the template refers to is there.
func TestReferences(t *testing.T) {
	template, text := readTemplate(t)
	text = regexp.MustCompile(`(?m)#.*$`).ReplaceAllString(text, "")
	var names []string
	for _, m := range regexp.MustCompile(`!(?:Ref|GetAtt) (\w+)|\$\{(\w+)(?:\.\w+)?\}`).FindAllStringSubmatch(text, -1) {
		names = append(names, m[1]+m[2])
	}
	if len(names) < 20 {
		t.Fatalf("only %d references", len(names))
	}
	for _, name := range names {
		_, isParameter := at(t, template, "Parameters").(map[string]any)[name]
		if _, isResource := at(t, template, "Resources").(map[string]any)[name]; !isParameter && !isResource {
			t.Errorf("%s is referred to, and is not there", name)
		}
	}
}

// What the program needs is there, and what keeps it small.
func TestTemplate(t *testing.T) {
	template, _ := readTemplate(t)
	for _, tt := range []struct {
		want     any
		resource string
		path     []any
	}{
		{"provided.al2023", "Function", []any{"Runtime"}},
		{"bootstrap", "Function", []any{"Handler"}},
		{"build/arm64", "Function", []any{"CodeUri"}},
		{"arm64", "Function", []any{"Architectures", 0}},
		{29, "Function", []any{"Timeout"}},
		{"Role.Arn", "Function", []any{"Role"}},
		{"Log", "Function", []any{"LoggingConfig", "LogGroup"}},
		{"Table", "Function", []any{"Environment", "Variables", "CHAT_TABLE"}},
		{"Secret", "Function", []any{"Environment", "Variables", "CHAT_SECRET"}},
		{"Origins", "Function", []any{"Environment", "Variables", "CHAT_ORIGINS"}},
		{14, "Log", []any{"RetentionInDays"}},
		{"WEBSOCKET", "Sockets", []any{"ProtocolType"}},
		{"chat", "SocketsStage", []any{"StageName"}}, // the path of the channel
		{"AWS_PROXY", "SocketsFunction", []any{"IntegrationType"}},
		{"HTTP", "Web", []any{"ProtocolType"}},
		{"2.0", "WebFunction", []any{"PayloadFormatVersion"}},
		{"GET /token", "Token", []any{"RouteKey"}},
		{"$connect", "Connect", []any{"RouteKey"}},
		{"$default", "Message", []any{"RouteKey"}},
		{"$disconnect", "Disconnect", []any{"RouteKey"}},
	} {
		if got := property(t, template, tt.resource, tt.path...); got != tt.want {
			t.Errorf("%s %v is %v, want %v", tt.resource, tt.path, got, tt.want)
		}
	}
	for _, route := range []string{"Connect", "Message", "Disconnect"} {
		if got := property(t, template, route, "Target"); got != "integrations/${SocketsFunction}" {
			t.Errorf("%s goes to %v", route, got)
		}
		if !slices.Contains(at(t, template, "Resources", "SocketsDeployment", "DependsOn").([]any), any(route)) {
			t.Errorf("%s may be made after the deployment", route)
		}
	}
	secret := at(t, template, "Parameters", "Secret").(map[string]any)
	if secret["NoEcho"] != true || secret["MinLength"] != 32 {
		t.Errorf("the secret is %v", secret)
	}
}

// The role may do what the packages say that it needs, on these resources only.
func TestRole(t *testing.T) {
	template, _ := readTemplate(t)
	allowed := map[string][]string{} // actions by resource
	for _, s := range property(t, template, "Role", "Policies", 0, "PolicyDocument", "Statement").([]any) {
		statement := s.(map[string]any)
		for _, resource := range list(statement["Resource"]) {
			allowed[resource] = append(allowed[resource], list(statement["Action"])...)
		}
	}
	const connections = "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${Sockets}/chat/"
	want := map[string][]string{
		"Log.Arn":                             {"logs:CreateLogStream", "logs:PutLogEvents"},
		"Table.Arn":                           tableActions(t),
		connections + "POST/@connections/*":   {"execute-api:ManageConnections"},
		connections + "DELETE/@connections/*": {"execute-api:ManageConnections"},
	}
	for _, m := range []map[string][]string{allowed, want} {
		for _, actions := range m {
			slices.Sort(actions)
		}
	}
	if got, want := fmt.Sprint(allowed), fmt.Sprint(want); got != want {
		t.Errorf("the role may do\n%s\nwant\n%s", got, want)
	}
}

func list(v any) (texts []string) {
	if one, ok := v.(string); ok {
		return []string{one}
	}
	for _, x := range v.([]any) {
		texts = append(texts, x.(string))
	}
	return texts
}

// tableActions are those that the documentation of engine/dynamodb lists.
func tableActions(t *testing.T) (actions []string) {
	t.Helper()
	doc, err := exec.Command("go", "doc", "github.com/kanava-go/kanava/engine/dynamodb").Output()
	if err != nil {
		t.Fatal(err)
	}
	_, part, ok := strings.Cut(string(doc), "On the table:")
	part, _, ended := strings.Cut(part, "Who calls")
	if !ok || !ended {
		t.Fatalf("the documentation does not list actions:\n%s", doc)
	}
	for _, name := range regexp.MustCompile(`\b[A-Z]\w*(?:Item|Query)\b|\bQuery\b`).FindAllString(part, -1) {
		actions = append(actions, "dynamodb:"+name)
	}
	return actions
}

// The table is the one that engine/dynamodb makes for tests.
func TestTable(t *testing.T) {
	template, _ := readTemplate(t)
	doc, err := exec.Command("go", "doc", "github.com/kanava-go/kanava/engine/dynamodb").Output()
	if err != nil {
		t.Fatal(err)
	}
	_, part, ok := strings.Cut(string(doc), "Type: AWS::DynamoDB::Table")
	part, _, ended := strings.Cut(part, "TimeToLiveSpecification: {AttributeName: ends, Enabled: true}")
	if !ok || !ended {
		t.Fatalf("the documentation has no table:\n%s", doc)
	}
	var said map[string]any
	if err := yaml.Unmarshal([]byte("x:\n"+part+"TimeToLiveSpecification: {AttributeName: ends, Enabled: true}\n"), &said); err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(property(t, template, "Table")), fmt.Sprint(at(t, said, "x", "Properties")); got != want {
		t.Errorf("the table is\n%s\nwant\n%s", got, want)
	}
}
