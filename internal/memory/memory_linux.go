package memory

import (
	"bytes"
	"math"
	"os"
	"path"
	"strconv"
	"strings"
)

func limit() int64 { return limitIn("/") }

// limitIn is limit with the files of /proc and /sys below root.
func limitIn(root string) int64 {
	own := max(0, field(root+"proc/self/status", "RssAnon:")) << 10 // mapped files are given up under pressure
	available := field(root+"proc/meminfo", "MemAvailable:")
	if available < 0 {
		return 0
	}
	least := available<<10 + own
	groups, err := os.ReadFile(root + "proc/self/cgroup")
	if err != nil {
		return least
	}
	for line := range strings.Lines(string(groups)) {
		// ID:controllers:path, where version 2 has no controllers (cgroups(7)).
		_, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, name, _ := strings.Cut(rest, ":")
		switch {
		case controllers == "":
			least = min(least, room(root+"sys/fs/cgroup", name, "memory.max", "memory.current", "inactive_file")+own)
		case strings.Contains(","+controllers+",", ",memory,"):
			least = min(least, room(root+"sys/fs/cgroup/memory", name, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")+own)
		}
	}
	return least
}

// room is the least that a group or one of those above it leaves: its limit
// less what is used in it, of which files that nobody uses can be given up.
func room(base, group, limitFile, usageFile, inactive string) int64 {
	least := int64(math.MaxInt64 / 2)
	for dir := path.Clean("/" + group); ; dir = path.Dir(dir) {
		limit, limited := number(base + dir + "/" + limitFile)
		usage, used := number(base + dir + "/" + usageFile)
		if limited && used {
			least = min(least, max(0, limit-usage+max(0, field(base+dir+"/memory.stat", inactive))))
		}
		if dir == "/" {
			return least
		}
	}
}

// number reads a file that holds one number; "max" is none.
func number(path string) (int64, bool) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(string(bytes.TrimSpace(data)), 10, 64)
	return n, err == nil && n < math.MaxInt64/2
}

// field is the number after the word name at the beginning of a line, -1 if
// there is none.
func field(path, name string) int64 {
	data, err := os.ReadFile(path)
	if err != nil {
		return -1
	}
	for line := range strings.Lines(string(data)) {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != name {
			continue
		}
		if n, err := strconv.ParseInt(words[1], 10, 64); err == nil && n >= 0 {
			return n
		}
	}
	return -1
}
