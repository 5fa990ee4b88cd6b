package cluster_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// takeStock lists what a cluster could leave behind. Other work goes on meanwhile on the same machine, so
// it counts only what looks like this cluster's; of processes, those in its namespaces or folder.
func takeStock(t *testing.T) map[string][]string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	stock := map[string][]string{
		"namespaces":     glob(t, "/run/netns/apptier-"+testCluster+"-*"),
		"control groups": append(glob(t, "/sys/fs/cgroup/*/apptier-"+testCluster), glob(t, "/sys/fs/cgroup/apptier-"+testCluster)...),
		"folders":        glob(t, filepath.Join(cache, "apptier", "clusters", testCluster)),
		"mounts":         nil,
		"processes":      processes(t),
	}
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, testCluster) {
			stock["mounts"] = append(stock["mounts"], line)
		}
	}
	return stock
}

// processes lists those that belong to the cluster's control groups or were started with its folder.
func processes(t *testing.T) []string {
	t.Helper()
	var found []string
	for _, dir := range glob(t, "/proc/[0-9]*") {
		command, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		groups, _ := os.ReadFile(filepath.Join(dir, "cgroup"))
		pid, _ := strconv.Atoi(filepath.Base(dir))
		if pid != os.Getpid() && (strings.Contains(string(command), "clusters/"+testCluster) || strings.Contains(string(groups), "apptier-"+testCluster)) {
			found = append(found, string(command))
		}
	}
	return found
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return found
}
