package memory

import (
	"os"
	"path/filepath"
	"testing"
)

func TestLimitIn(t *testing.T) {
	machine := map[string]string{
		"proc/self/status": "Name:\tx\nRssAnon:\t  100 kB\nRssFile:\t 50 kB\n",
		"proc/meminfo":     "MemTotal:  9000 kB\nMemAvailable:  1000 kB\n",
	}
	for _, c := range []struct {
		name  string
		files map[string]string
		want  int64 // kB
	}{
		{"no groups", nil, 1100},
		{"no limit", map[string]string{"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": "max\n", "sys/fs/cgroup/a/memory.current": "4096\n"}, 1100},
		{"version 2", map[string]string{"proc/self/cgroup": "0::/a/b\n",
			"sys/fs/cgroup/a/b/memory.max": "819200\n", "sys/fs/cgroup/a/b/memory.current": "409600\n",
			"sys/fs/cgroup/a/b/memory.stat": "file 1\ninactive_file 102400\n"}, 600},
		{"the group above", map[string]string{"proc/self/cgroup": "0::/a/b\n",
			"sys/fs/cgroup/a/memory.max": "204800\n", "sys/fs/cgroup/a/memory.current": "102400\n",
			"sys/fs/cgroup/a/b/memory.max": "819200\n", "sys/fs/cgroup/a/b/memory.current": "0\n"}, 200},
		{"a container's own root", map[string]string{"proc/self/cgroup": "0::/\n",
			"sys/fs/cgroup/memory.max": "204800\n", "sys/fs/cgroup/memory.current": "0\n"}, 300},
		{"version 1", map[string]string{"proc/self/cgroup": "9:cpu,cpuacct:/\n4:memory:/a\n0::/\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n", "sys/fs/cgroup/memory/memory.usage_in_bytes": "5\n",
			"sys/fs/cgroup/memory/a/memory.limit_in_bytes": "409600\n", "sys/fs/cgroup/memory/a/memory.usage_in_bytes": "204800\n",
			"sys/fs/cgroup/memory/a/memory.stat": "inactive_file 1\ntotal_inactive_file 102400\n"}, 400},
		{"used up", map[string]string{"proc/self/cgroup": "0::/\n",
			"sys/fs/cgroup/memory.max": "4096\n", "sys/fs/cgroup/memory.current": "8192\n"}, 100},
		{"not told", map[string]string{"proc/meminfo": "MemTotal: 9000 kB\n"}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir() + "/"
			for _, files := range []map[string]string{machine, c.files} {
				for name, text := range files {
					path := filepath.Join(root, name)
					if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
						t.Fatal(err)
					}
				}
			}
			if got := limitIn(root); got != c.want<<10 {
				t.Errorf("%d kB, want %d", got>>10, c.want)
			}
		})
	}
}

func TestLimitOfThisMachine(t *testing.T) {
	if n := Limit(); n < 16<<20 || n > 1<<50 {
		t.Errorf("%d bytes", n)
	}
}
