//go:build !unix

package atomicfile

import "os"

func mapFile(file *os.File, size int) ([]byte, func([]byte) error, error) {
	return readFile(file, size)
}
