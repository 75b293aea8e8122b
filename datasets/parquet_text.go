package datasets

import (
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// maxDecimalScale bounds the zeros that a damaged scale could ask for; Parquet
// writers stop at 76 digits.
const maxDecimalScale = 100

// cellFormat returns how a column's values are written as text, by logical
// type: text as is, numbers in decimal, dates and times as in ISO 8601, in UTC.
// false means that there is no such form.
func cellFormat(leaf *parquet.Column) func(parquet.Value) (string, bool) {
	switch leaf.Type().Kind() {
	case parquet.Boolean:
		return func(v parquet.Value) (string, bool) { return strconv.FormatBool(v.Boolean()), true }
	case parquet.Float:
		return func(v parquet.Value) (string, bool) {
			return strconv.FormatFloat(float64(v.Float()), 'g', -1, 32), true
		}
	case parquet.Double:
		return func(v parquet.Value) (string, bool) { return strconv.FormatFloat(v.Double(), 'g', -1, 64), true }
	}
	logical := leaf.Type().LogicalType()
	if logical == nil || logical.Value == nil {
		return plainFormat
	}
	switch t := logical.Value.(type) {
	case *format.DecimalType:
		return decimalFormat(t.Scale)
	case *format.DateType:
		return func(v parquet.Value) (string, bool) {
			return time.Unix(int64(v.Int32())*86400, 0).UTC().Format(time.DateOnly), true
		}
	case *format.TimestampType:
		return timestampFormat(t)
	case *format.IntType:
		if !t.IsSigned {
			return unsignedFormat
		}
	case *format.UUIDType:
		return func(v parquet.Value) (string, bool) {
			b := v.ByteArray()
			return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]), true
		}
	case *format.StringType, *format.EnumType, *format.JsonType:
	default: // times of day, intervals, BSON, float16, shapes
		return func(parquet.Value) (string, bool) { return "", false }
	}
	return plainFormat
}

func plainFormat(v parquet.Value) (string, bool) {
	switch v.Kind() {
	case parquet.ByteArray:
		return string(v.ByteArray()), true // a copy: the page is reused
	case parquet.Int32:
		return strconv.FormatInt(int64(v.Int32()), 10), true
	case parquet.Int64:
		return strconv.FormatInt(v.Int64(), 10), true
	}
	return "", false
}

func unsignedFormat(v parquet.Value) (string, bool) {
	if v.Kind() == parquet.Int32 {
		return strconv.FormatUint(uint64(v.Uint32()), 10), true
	}
	return strconv.FormatUint(v.Uint64(), 10), true
}

func timestampFormat(t *format.TimestampType) func(parquet.Value) (string, bool) {
	return func(v parquet.Value) (string, bool) {
		n := v.Int64()
		var at time.Time
		switch t.Unit.Value.(type) {
		case *format.MilliSeconds:
			at = time.UnixMilli(n)
		case *format.MicroSeconds:
			at = time.UnixMicro(n)
		case *format.NanoSeconds:
			at = time.Unix(0, n)
		default:
			return "", false
		}
		return at.UTC().Format(time.RFC3339Nano), true
	}
}

// decimalFormat writes unscaled·10^-scale. Byte arrays hold the unscaled value
// as a big-endian two's complement number.
func decimalFormat(scale int32) func(parquet.Value) (string, bool) {
	return func(v parquet.Value) (string, bool) {
		var n big.Int
		switch v.Kind() {
		case parquet.Int32:
			n.SetInt64(int64(v.Int32()))
		case parquet.Int64:
			n.SetInt64(v.Int64())
		case parquet.ByteArray, parquet.FixedLenByteArray:
			b := v.ByteArray()
			if len(b) > maxDecimalScale {
				return "", false
			}
			n.SetBytes(b)
			if len(b) > 0 && b[0]&0x80 != 0 {
				n.Sub(&n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
			}
		default:
			return "", false
		}
		if scale < 0 || scale > maxDecimalScale {
			return "", false
		}
		return pointAt(n.String(), int(scale)), true
	}
}

// pointAt puts a decimal point before the last scale digits.
func pointAt(digits string, scale int) string {
	if scale == 0 {
		return digits
	}
	sign := ""
	if rest, ok := strings.CutPrefix(digits, "-"); ok {
		sign, digits = "-", rest
	}
	if len(digits) <= scale {
		digits = strings.Repeat("0", scale-len(digits)+1) + digits
	}
	return sign + digits[:len(digits)-scale] + "." + digits[len(digits)-scale:]
}

// nameList writes column names for a message, in order, not too many.
func nameList(names []string) string {
	const most = 30
	quoted := make([]string, 0, min(len(names), most+1))
	for i, name := range slices.Sorted(slices.Values(names)) {
		if i == most {
			quoted = append(quoted, "…")
			break
		}
		quoted = append(quoted, strconv.Quote(name))
	}
	if len(quoted) == 0 {
		return "no columns"
	}
	return strings.Join(quoted, ", ")
}
