// Package pipeline runs stages and keeps what they made, so that nothing is
// computed twice and nothing half-made is ever seen. It knows no machine
// learning.
//
// The words:
//
//   - A [Stage] is one repeatable computation from artifacts (and outside
//     files) to one artifact.
//   - An [Artifact] is a directory of files that a stage made and nobody
//     changes. Its id is the SHA-256 of everything that could change it: the
//     kind and version of the stage, its resolved options, the ids of its
//     inputs in order and the contents of its outside files. It holds no clock
//     and no absolute path; manifest.json in it lists its files.
//   - A [Store] is the directory that holds artifacts, shared by any number of
//     processes at a time.
//   - A [Plan] says for each stage whether it will be reused or run, and why.
//   - A [Record] says what one run did: stages, times, measurements, errors.
//   - A [Work] is what a running stage is given: where its inputs are, where
//     to write, how to say how far it is.
//
// # The store
//
//	artifacts/KIND-HEX16/     committed artifacts; HEX16 begins the id
//	staging/KIND-HEX16/       being written by the holder of the artifact's lock
//	scratch/KIND-HEX16/       checkpoints and partial answers; outlive a kill
//	aside/KIND-HEX16-HEX6/    what was damaged or out of date, kept for the user
//	runs/STAMP-HEX6/          run.json and events.jsonl of one run
//	locks/                    one file per lock that is held
//	file-hashes.json          contents of outside files by their stat; a cache
//
// An artifact appears by one rename after everything in it is synced, so a
// reader sees all of it or nothing. Locks are the operating system's (flock):
// a process that dies releases them.
package pipeline
