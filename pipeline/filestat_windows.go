package pipeline

import "os"

// statFile follows links. Windows gives size and time without opening the
// file; inode and change time stay zero.
func statFile(path string) (fileStat, error) {
	info, err := os.Stat(path)
	if err != nil {
		return fileStat{}, err
	}
	return fileStat{Size: info.Size(), Mtime: info.ModTime().UnixNano()}, nil
}
