package datasets

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/format"
	"github.com/pierrec/lz4/v4"
)

// decompressor unpacks pages into exactly the size that their header claims.
// parquet-go's own codecs believe the size inside the compressed data, which
// in a damaged file can be gigabytes, or grow their output without end.
type decompressor struct {
	zstd *zstd.Decoder // made at first use
}

func (d *decompressor) close() {
	if d.zstd != nil {
		d.zstd.Close()
		d.zstd = nil
	}
}

// appendPage appends the unpacked form of src, of size bytes, to dst.
func (d *decompressor) appendPage(dst, src []byte, codec format.CompressionCodec, size int) ([]byte, error) {
	if codec == format.Uncompressed {
		if len(src) != size {
			return nil, fmt.Errorf("%d bytes of page data, and the header claims %d", len(src), size)
		}
		return append(dst, src...), nil
	}
	if size == 0 {
		return dst, nil // some writers compress nothing into nothing
	}
	if limit := maxUnpacked(codec, len(src)); size > limit {
		return nil, fmt.Errorf("%d bytes of %s cannot unpack to %d", len(src), codec, size)
	}
	start := len(dst)
	dst = append(dst, make([]byte, size)...)
	n, err := d.unpack(dst[start:], src, codec)
	if err != nil {
		return nil, fmt.Errorf("unpack %s page: %w", codec, err)
	}
	if n != size {
		return nil, fmt.Errorf("unpack %s page: it has %d bytes, and the header claims %d", codec, n, size)
	}
	return dst, nil
}

// maxUnpacked bounds what n bytes can unpack to, from the densest form that
// each format has: a Snappy copy makes 64 bytes of 3, an LZ4 length byte counts
// 255, DEFLATE reaches 1032:1. Zstandard and Brotli can repeat without end.
func maxUnpacked(codec format.CompressionCodec, n int) int {
	switch codec {
	case format.Snappy:
		return 22*n + 64
	case format.Lz4Raw:
		return 256*n + 64
	case format.Gzip:
		return 1033*n + 64
	}
	return maxPageBytes
}

// unpack fills dst from src and returns the bytes that src holds, which may be
// more than dst has room for only in so far as an error says so.
func (d *decompressor) unpack(dst, src []byte, codec format.CompressionCodec) (int, error) {
	switch codec {
	case format.Snappy:
		n, err := snappy.DecodedLen(src)
		if err != nil || n != len(dst) {
			return n, err
		}
		out, err := snappy.Decode(dst, src)
		return len(out), err
	case format.Lz4Raw:
		return lz4.UncompressBlock(src, dst)
	case format.Gzip:
		z, err := gzip.NewReader(bytes.NewReader(src))
		if err != nil {
			return 0, err
		}
		return readExactly(z, dst)
	case format.Brotli:
		return readExactly(brotli.NewReader(bytes.NewReader(src)), dst)
	case format.Zstd:
		return d.unpackZstd(dst, src)
	}
	return 0, errors.New("this compression is not supported")
}

func (d *decompressor) unpackZstd(dst, src []byte) (int, error) {
	if d.zstd == nil {
		z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecodeAllCapLimit(true),
			zstd.WithDecoderMaxMemory(2*maxPageBytes))
		if err != nil {
			return 0, err
		}
		d.zstd = z
	}
	out, err := d.zstd.DecodeAll(src, dst[:0:len(dst)])
	return len(out), err
}

// readExactly fills dst and reports one byte more if r has not ended by then.
func readExactly(r io.Reader, dst []byte) (int, error) {
	n, err := io.ReadFull(r, dst)
	if err != nil {
		return n, err
	}
	var more [1]byte
	k, err := io.ReadFull(r, more[:])
	if err == io.EOF {
		err = nil
	}
	return n + k, err
}
