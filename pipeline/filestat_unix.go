//go:build unix

package pipeline

import (
	"golang.org/x/sys/unix"
)

// statFile follows links.
func statFile(path string) (fileStat, error) {
	var st unix.Stat_t
	for {
		err := unix.Stat(path, &st)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fileStat{}, err
		}
		return fileStat{
			Size:  st.Size,
			Mtime: st.Mtim.Nano(),
			Ctime: st.Ctim.Nano(),
			Dev:   uint64(st.Dev),
			Inode: uint64(st.Ino),
		}, nil
	}
}
