package cli_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// Programs read what import prints, so each of its fields is in its page.
func TestFieldsOfImportAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/import.md")
	if err != nil {
		t.Fatal(err)
	}
	stdout, stderr, code := run(t, "", "import", "-o", "json", "testdata/import/tenant.yaml")
	var printed map[string]any
	if err := json.Unmarshal([]byte(stdout), &printed); err != nil || code != 0 {
		t.Fatalf("exits with %d: %v\n%s", code, err, stderr)
	}
	wantDocumented := func(of map[string]any) {
		for field := range of {
			if !strings.Contains(string(page), "`"+field+"`") {
				t.Errorf("docs/import.md does not say what %s is", field)
			}
		}
	}
	wantDocumented(printed)
	for _, list := range []string{"policies", "changes"} {
		if len(printed[list].([]any)) == 0 {
			t.Errorf("there are no %s", list)
		}
		for _, item := range printed[list].([]any) {
			wantDocumented(item.(map[string]any))
		}
	}
	wantDocumented(printed["lines"].(map[string]any))
}
