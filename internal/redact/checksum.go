package redact

// The functions here take decimal digits without separators.

// luhn checks the sum of ISO/IEC 7812-1.
func luhn(digits string) bool {
	sum := 0
	for i := range len(digits) {
		d := int(digits[len(digits)-1-i] - '0')
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}

// weighted returns the sum of the first digits times the weights.
func weighted(digits string, weights ...int) int {
	sum := 0
	for i, w := range weights {
		sum += w * int(digits[i]-'0')
	}
	return sum
}

// descending is the sum of the first n digits with weights from, from-1, …
func descending(digits string, n, from int) int {
	sum := 0
	for i := range n {
		sum += (from - i) * int(digits[i]-'0')
	}
	return sum
}

// integer returns the value of digits that fit into an int.
func integer(digits string) int {
	n := 0
	for i := range len(digits) {
		n = n*10 + int(digits[i]-'0')
	}
	return n
}

func allSame(s string) bool {
	for i := range len(s) {
		if s[i] != s[0] {
			return false
		}
	}
	return true
}

// iso11_10 checks the last digit after ISO/IEC 7064, MOD 11,10.
func iso11_10(digits string) bool {
	product := 10
	for i := range len(digits) - 1 {
		sum := (int(digits[i]-'0') + product) % 10
		if sum == 0 {
			sum = 10
		}
		product = 2 * sum % 11
	}
	return (11-product)%10 == int(digits[len(digits)-1]-'0')
}

// Verhoeff's dihedral multiplication and permutation (J. Verhoeff, Error
// Detecting Decimal Codes, 1969).
var (
	verhoeffProduct = [10]string{"0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
		"5987604321", "6598710432", "7659821043", "8765932104", "9876543210"}
	verhoeffPermutation = [8]string{"0123456789", "1576283094", "5803796142", "8916043527",
		"9453126870", "4286573901", "2793806415", "7046913258"}
)

func verhoeff(digits string) bool {
	sum := byte('0')
	for i := range len(digits) {
		d := digits[len(digits)-1-i] - '0'
		sum = verhoeffProduct[sum-'0'][verhoeffPermutation[i%8][d]-'0']
	}
	return sum == '0'
}

// isDate tells whether day and month, two digits each, can be ones.
func isDate(day, month string) bool {
	d, m := integer(day), integer(month)
	return d >= 1 && d <= 31 && m >= 1 && m <= 12
}
