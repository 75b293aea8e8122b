//go:build unix

package hub

import (
	"os"

	"golang.org/x/sys/unix"
)

// flock takes the lock on f without waiting; false means that another open
// file has it.
func flock(f *os.File) (bool, error) {
	for {
		switch err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err {
		case nil:
			return true, nil
		case unix.EWOULDBLOCK:
			return false, nil
		case unix.EINTR:
		default:
			return false, err
		}
	}
}
