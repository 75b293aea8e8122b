package redact

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxLocalBytes  = 64  // RFC 5321, 4.5.3.1.1
	maxDomainBytes = 255 // RFC 5321, 4.5.3.1.2
)

// email looks for an address around the @ at i.
func email(text string, i int, add found) {
	start := localStart(text, i)
	end := domainEnd(text, i+1)
	if start == i || end == 0 {
		return
	}
	before := text[:start]
	if strings.HasSuffix(before, "://") || strings.HasSuffix(text[start:i], "git") && end < len(text) && text[end] == ':' {
		return // a user of a URL, or a repository
	}
	add(Email, start, end)
}

// localStart returns where the local part of an address that ends at i begins:
// a run of one script, since scripts without spaces stand directly before it.
func localStart(text string, i int) int {
	start := i
	wide := false // of runes beyond Latin, Greek and Cyrillic
	for start > 0 && i-start < maxLocalBytes {
		c := text[start-1]
		if c < utf8.RuneSelf {
			if wide || !isAlnum(c) && strings.IndexByte(".!#$%&'*+-/?^_`{|}~", c) < 0 {
				break
			}
			start--
			continue
		}
		r, size := utf8.DecodeLastRuneInString(text[:start])
		if !unicode.IsLetter(r) || isWide(r) && start < i && !wide {
			break
		}
		wide = isWide(r)
		start -= size
	}
	for start < i && !isAlnum(text[start]) && text[start] < utf8.RuneSelf && text[start] != '_' {
		start++ // what opens a quotation, or a path
	}
	if at := strings.LastIndexAny(text[start:i], "/`|"); at >= 0 {
		start += at + 1
	}
	return start
}

func isWide(r rune) bool { return r >= 0x530 && !unicode.Is(unicode.Latin, r) }

// domainEnd returns the end of the domain at i, 0 if there is none.
func domainEnd(text string, i int) int {
	begin, end := i, 0
	label := i // where the label starts that is being read
	dots := 0
	for i <= len(text) && i-begin <= maxDomainBytes {
		if i < len(text) && (isAlnum(text[i]) || text[i] == '-' && i > label) {
			i++
			continue
		}
		if i < len(text) && text[i] >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(text[i:])
			if unicode.IsLetter(r) && (!isWide(r) || i == label || text[i-1] >= utf8.RuneSelf) {
				i += size
				continue
			}
		}
		if i == label {
			break
		}
		if dots > 0 && isTopLevel(text[label:i]) {
			end = i
		}
		if i == len(text) || text[i] != '.' {
			break
		}
		dots++
		i++
		label = i
	}
	return end
}

// files are endings of file names that stand behind an @ too, as in logo@2x.png.
const files = " png jpg jpeg gif svg webp css js json html htm xml txt pdf "

func isTopLevel(label string) bool {
	if strings.Contains(files, " "+strings.ToLower(label)+" ") || utf8.RuneCountInString(label) < 2 {
		return false
	}
	if len(label) > 4 && strings.EqualFold(label[:4], "xn--") {
		return true
	}
	for i := range len(label) {
		if label[i] < utf8.RuneSelf && class[label[i]]&letter == 0 {
			return false
		}
	}
	return len(label) <= 63
}
