package hpack

// appendInteger appends v with a prefix of n bits; high are the bits above the prefix (RFC 7541 section 5.1).
func appendInteger(dst []byte, high byte, n uint, v uint64) []byte {
	limit := uint64(1)<<n - 1
	if v < limit {
		return append(dst, high|byte(v))
	}
	dst = append(dst, high|byte(limit))
	for v -= limit; v >= 0x80; v >>= 7 {
		dst = append(dst, 0x80|byte(v))
	}
	return append(dst, byte(v))
}

// maxIntegerBytes bounds the bytes behind the prefix, so that an integer fits 63 bits.
const maxIntegerBytes = 9

// integer reads an integer with a prefix of n bits off the beginning of p, which is not empty.
func integer(p []byte, n uint) (v uint64, rest []byte, err error) {
	limit := uint64(1)<<n - 1
	v = uint64(p[0]) & limit
	if v < limit {
		return v, p[1:], nil
	}
	for i := 1; i < len(p); i++ {
		if i > maxIntegerBytes {
			return 0, nil, errInteger
		}
		v += uint64(p[i]&0x7f) << (7 * (i - 1))
		if p[i] < 0x80 {
			return v, p[i+1:], nil
		}
	}
	return 0, nil, errTruncated
}
