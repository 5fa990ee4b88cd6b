package cluster

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/apptier/apptier/test/cluster/build"
	"github.com/apptier/apptier/test/cluster/host"
)

// state is what is kept about a cluster between programs, in state.json of its folder. It is written
// before and during the making of the cluster, so that a half-made one can be taken down.
type state struct {
	Name    string                  `json:"name"`
	Created time.Time               `json:"created"`
	Shape   Shape                   `json:"shape"`
	Version string                  `json:"version"`
	Bin     string                  `json:"bin"`
	Init    string                  `json:"init"`
	Server  string                  `json:"server,omitempty"` // the API server's address for this machine
	Inits   map[string]host.Process `json:"inits"`            // by node
}

// clustersDir holds a folder for each cluster.
func clustersDir() (string, error) { return build.CacheDir("clusters") }

func stateFile(dir string) string { return filepath.Join(dir, "state.json") }

func readState(dir string) (state, error) {
	content, err := os.ReadFile(stateFile(dir))
	if err != nil {
		return state{}, err
	}
	var s state
	if err := json.Unmarshal(content, &s); err != nil {
		return state{}, fmt.Errorf("read %s: %w", stateFile(dir), err)
	}
	return s, nil
}

func (s state) write(dir string) error {
	content, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	temporary := stateFile(dir) + ".new"
	if err := os.WriteFile(temporary, append(content, '\n'), 0o600); err != nil {
		return fmt.Errorf("keep the cluster's state: %w", err)
	}
	return os.Rename(temporary, stateFile(dir))
}
