package datasets

// smallest calls f with each example of a split that is still there and its
// group: taken are the quota[group] of the smallest hashes, the first of equal
// ones, all of them where there are no more. Other salts give other hashes; 0
// gives keys.order itself.
//
// It finds the hash up to which each group is taken byte by byte, from the
// highest, counting in every pass those that have the bytes found so far.
func (m *maker) smallest(split int, groupOf func(keys) int, salt uint64, quota []int, f func(at, group int, taken bool)) error {
	s, verdicts := m.spools[split], m.verdicts[split]
	each := func(f func(at, group int, hash uint64)) error {
		return s.readKeys(func(at int, k keys) {
			if verdicts[at] == 0 {
				f(at, groupOf(k), salted(k.order, salt))
			}
		})
	}
	prefix, left := make([]uint64, len(quota)), append([]int(nil), quota...)
	counts := make([][256]int, len(quota))
	for shift := 56; shift >= 0; shift -= 8 {
		clear(counts)
		err := each(func(_, group int, hash uint64) {
			if shift == 56 || hash>>(shift+8) == prefix[group]>>(shift+8) {
				counts[group][hash>>shift&0xff]++
			}
		})
		if err != nil {
			return err
		}
		for group := range counts {
			b := 0
			for ; b < 255 && left[group] >= counts[group][b]; b++ {
				left[group] -= counts[group][b]
			}
			prefix[group] |= uint64(b) << shift
		}
	}
	return each(func(at, group int, hash uint64) {
		taken := hash < prefix[group]
		if hash == prefix[group] && left[group] > 0 {
			taken = true
			left[group]--
		}
		f(at, group, taken)
	})
}

// salted is another hash that follows from one, after D. Lea and G. Steele's
// SplitMix64: each output bit depends on all of the input.
func salted(hash, salt uint64) uint64 {
	if salt == 0 {
		return hash
	}
	hash += salt * 0x9e3779b97f4a7c15
	hash = (hash ^ hash>>30) * 0xbf58476d1ce4e5b9
	hash = (hash ^ hash>>27) * 0x94d049bb133111eb
	return hash ^ hash>>31
}
