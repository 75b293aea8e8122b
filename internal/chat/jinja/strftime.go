package jinja

import (
	"fmt"
	"strings"
	"time"
)

func strftimeNow(r *run, a *arguments) (Value, error) {
	v, _, err := a.bind("strftime_now", "format")
	if err != nil {
		return nil, err
	}
	layout, err := textArg("strftime_now", v[0])
	if err != nil {
		return nil, err
	}
	if r.now.IsZero() {
		return nil, raise("TemplateRuntimeError", "the template asks for the date, and none was given")
	}
	w := &writer{r: r}
	if err := strftime(w, r.now, layout); err != nil {
		return nil, err
	}
	return string(w.b), nil
}

// strftime writes a time as C's does in the C locale; "%-d" leaves out padding.
// A time from Python's datetime.now() has no zone: %z and %Z are empty.
func strftime(w *writer, t time.Time, layout string) error {
	for layout != "" {
		i := strings.IndexByte(layout, '%')
		if i < 0 || i == len(layout)-1 {
			return w.write(layout)
		}
		if err := w.write(layout[:i]); err != nil {
			return err
		}
		n, bare := i+1, false
		if layout[n] == '-' && n+1 < len(layout) {
			n, bare = n+1, true
		}
		text, ok := timePart(t, layout[n])
		if !ok {
			text = layout[i : n+1]
		} else if bare {
			if cut := strings.TrimLeft(text, " 0"); cut != "" {
				text = cut
			} else {
				text = "0"
			}
		}
		if err := w.write(text); err != nil {
			return err
		}
		layout = layout[n+1:]
	}
	return nil
}

var timeLayouts = map[byte]string{
	'a': "Mon", 'A': "Monday", 'b': "Jan", 'h': "Jan", 'B': "January", 'd': "02", 'e': "_2", 'm': "01", 'y': "06", 'Y': "2006",
	'H': "15", 'I': "03", 'M': "04", 'S': "05", 'p': "PM", 'j': "002", 'F': "2006-01-02", 'T': "15:04:05",
	'R': "15:04", 'D': "01/02/06", 'c': "Mon Jan _2 15:04:05 2006", 'x': "01/02/06", 'X': "15:04:05", 'r': "03:04:05 PM", 'P': "pm",
}

func timePart(t time.Time, c byte) (string, bool) {
	switch c {
	case '%':
		return "%", true
	case 'n':
		return "\n", true
	case 't':
		return "\t", true
	case 'z', 'Z':
		return "", true
	case 'f':
		return fmt.Sprintf("%06d", t.Nanosecond()/1000), true
	case 'C':
		return fmt.Sprintf("%02d", t.Year()/100), true
	case 'k':
		return fmt.Sprintf("%2d", t.Hour()), true
	case 'l':
		return fmt.Sprintf("%2d", (t.Hour()+11)%12+1), true
	case 's':
		return fmt.Sprint(t.Unix()), true
	case 'w':
		return fmt.Sprint(int(t.Weekday())), true
	case 'u':
		return fmt.Sprint((int(t.Weekday())+6)%7 + 1), true
	case 'U':
		return fmt.Sprintf("%02d", (t.YearDay()+6-int(t.Weekday()))/7), true
	case 'W':
		return fmt.Sprintf("%02d", (t.YearDay()+6-(int(t.Weekday())+6)%7)/7), true
	case 'V', 'G', 'g':
		year, week := t.ISOWeek()
		return map[byte]string{'V': fmt.Sprintf("%02d", week), 'G': fmt.Sprint(year), 'g': fmt.Sprintf("%02d", year%100)}[c], true
	}
	layout, ok := timeLayouts[c]
	return t.Format(layout), ok
}
