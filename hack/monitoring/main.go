// Command monitoring writes the alerts and the dashboard of config/components: rules of the Prometheus operator, and what
// Grafana shows; and their page, docs/reference/alerts.md. It runs at the top of the repository. test/monitoring tries what it writes.
package main

import (
	"fmt"
	"os"

	"sigs.k8s.io/yaml"
)

const header = "# Written by \"make generate\" from hack/monitoring.\n"

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: monitoring REPOSITORY")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "monitoring:", err)
		os.Exit(1)
	}
}

func run(repository string) error {
	root, err := os.OpenRoot(repository)
	if err != nil {
		return fmt.Errorf("opening the repository: %w", err)
	}
	defer func() { _ = root.Close() }()
	board, err := dashboardMap()
	if err != nil {
		return err
	}
	for file, object := range map[string]any{
		"alerts/rules.yaml":          ruleOf("manager", "apptier-system", managerAlerts()),
		"enforcer-alerts/rules.yaml": ruleOf("enforcer", "apptier-enforcer", enforcerAlerts()),
		"dashboard/dashboard.yaml":   board,
	} {
		text, err := yaml.Marshal(object)
		if err != nil {
			return fmt.Errorf("writing %s: %w", file, err)
		}
		if err := root.WriteFile("config/components/"+file, append([]byte(header), text...), 0o600); err != nil {
			return fmt.Errorf("writing %s: %w", file, err)
		}
	}
	if err := root.WriteFile("docs/reference/alerts.md", []byte(page()), 0o600); err != nil {
		return fmt.Errorf("writing the page of alerts: %w", err)
	}
	return nil
}
