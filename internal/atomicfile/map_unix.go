//go:build unix

package atomicfile

import (
	"os"

	"golang.org/x/sys/unix"
)

func mapFile(file *os.File, size int) ([]byte, func([]byte) error, error) {
	data, err := unix.Mmap(int(file.Fd()), 0, size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return readFile(file, size) // a file system that cannot map
	}
	return data, unix.Munmap, nil
}
