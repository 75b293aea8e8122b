package extsort

import "bytes"

// fewRecords is where insertion beats another pass over 256 buckets.
const fewRecords = 48

// sortRecords sorts the records of size bytes in buf, equal in their first
// depth bytes, in place: by the next byte, then each bucket by what follows
// (McIlroy, Bostic and McIlroy, "Engineering Radix Sort", 1993).
func sortRecords(buf []byte, size, depth int) {
	if len(buf) <= fewRecords*size {
		insertRecords(buf, size, depth)
		return
	}
	if depth == size {
		return
	}
	var next, end [256]int // where a bucket's next record goes; its end
	for i := depth; i < len(buf); i += size {
		end[buf[i]] += size
	}
	from := 0
	for b, bytes := range end {
		next[b] = from
		from += bytes
		end[b] = from
	}
	starts := next
	for b := range next {
		for next[b] < end[b] {
			at := next[b]
			to := buf[at+depth]
			if int(to) != b {
				swapRecords(buf[at:at+size], buf[next[to]:next[to]+size])
			}
			next[to] += size
		}
	}
	for b, from := range starts {
		if end[b]-from > size {
			sortRecords(buf[from:end[b]], size, depth+1)
		}
	}
}

func insertRecords(buf []byte, size, depth int) {
	for i := size; i < len(buf); i += size {
		for j := i; j > 0; j -= size {
			a, b := buf[j-size:j], buf[j:j+size]
			if bytes.Compare(a[depth:], b[depth:]) <= 0 {
				break
			}
			swapRecords(a, b)
		}
	}
}

func swapRecords(a, b []byte) {
	for i := range a {
		a[i], b[i] = b[i], a[i]
	}
}
