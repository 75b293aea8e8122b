package atomicfile

import (
	"fmt"
	"io"
	"os"
)

// readFile is mapFile where nothing can be mapped.
func readFile(file *os.File, size int) ([]byte, func([]byte) error, error) {
	data := make([]byte, size)
	if _, err := io.ReadFull(file, data); err != nil {
		return nil, nil, fmt.Errorf("read %d bytes: %w", size, err)
	}
	return data, nil, nil
}
