//go:build unix

package pipeline

import (
	"os"

	"golang.org/x/sys/unix"
)

// flock takes or converts the lock on f without waiting; false means that
// another open file is in the way.
func flock(f *os.File, shared bool) (bool, error) {
	how := unix.LOCK_EX
	if shared {
		how = unix.LOCK_SH
	}
	for {
		switch err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB); err {
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
