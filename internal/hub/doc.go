// Package hub downloads models and datasets from a Hugging Face-compatible hub into the
// cache that huggingface_hub keeps, so that either program finds what the other
// has downloaded.
//
// In the cache, models--org--name (or datasets--…) holds the files of a repository:
//
//	blobs/HASH              contents, by hash
//	snapshots/COMMIT/PATH   relative symbolic links to them
//	refs/REVISION           the commit that a branch or tag last was
//
// The server is not trusted. Every content is checked against the hash that the
// server declared before it gets its name: SHA-256 of large files, the git blob's
// SHA-1 of others. Blobs are named by that hash alone, file names are checked
// before they are used, and everything is written through an os.Root, so that
// nothing leaves the repository's directory. Pickle files, which run code when
// they are read, are never downloaded.
//
// A download that was cut leaves blobs/HASH.incomplete and is continued by a
// range request; as the name is the content's hash, it cannot be continued with
// another content. Locks beside the cache, the ones huggingface_hub takes, keep
// two processes from writing one file.
package hub
