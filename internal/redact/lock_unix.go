//go:build unix

package redact

import (
	"os"

	"golang.org/x/sys/unix"
)

// lockFile waits for the lock on f, which closing f gives back.
func lockFile(f *os.File) error {
	for {
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != unix.EINTR {
			return err
		}
	}
}

func unlockFile(f *os.File) error { return unix.Flock(int(f.Fd()), unix.LOCK_UN) }
