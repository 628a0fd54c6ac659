package ruleset

import (
	"encoding/binary"
	"time"
)

// timeValue is what rules ask of the time, which is that of now, in UTC.
func timeValue(key uint32) (value, bool) {
	const ns, day, hour = 30, 31, 32
	now := time.Now().UTC()
	switch key {
	case ns:
		return known(binary.NativeEndian.AppendUint64(nil, uint64(now.UnixNano()))...), true
	case day:
		return known(byte(now.Weekday())), true
	case hour:
		return known(native(uint32(now.Hour()*3600 + now.Minute()*60 + now.Second()))...), true
	}
	return value{}, false
}
