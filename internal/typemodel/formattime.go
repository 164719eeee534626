package typemodel

import (
	"strings"
	"time"
)

func isDate(s string) bool {
	_, err := time.Parse(time.DateOnly, s)
	return err == nil && len(s) == len(time.DateOnly)
}

func isDateTime(s string) bool {
	const date = len(time.DateOnly)
	return len(s) > date && s[date]|0x20 == 't' && isDate(s[:date]) && isFullTime(s[date+1:])
}

// isFullTime takes hours, minutes and seconds, a fraction of any length, and Z
// or an offset. Second 60 is for the last minute of a day of UTC.
func isFullTime(s string) bool {
	const clock = len(time.TimeOnly)
	if len(s) <= clock || s[2] != ':' || s[5] != ':' {
		return false
	}
	hour, ok1 := twoDigits(s, 23)
	minute, ok2 := twoDigits(s[3:], 59)
	second, ok3 := twoDigits(s[6:], 60)
	zone := s[clock:]
	if zone[0] == '.' {
		rest := strings.TrimLeft(zone[1:], "0123456789")
		if len(rest) == len(zone)-1 {
			return false
		}
		zone = rest
	}
	offset, ok4 := zoneOffset(zone)
	const day = 24 * 60
	utc := (hour*60 + minute - offset + day) % day
	return ok1 && ok2 && ok3 && ok4 && (second < 60 || utc == day-1)
}

// zoneOffset returns the minutes of Z or of an offset such as +02:00.
func zoneOffset(s string) (minutes int, ok bool) {
	if s == "Z" || s == "z" {
		return 0, true
	}
	if len(s) != len("+00:00") || s[0] != '+' && s[0] != '-' || s[3] != ':' {
		return 0, false
	}
	hour, ok1 := twoDigits(s[1:], 23)
	minute, ok2 := twoDigits(s[4:], 59)
	if minutes = hour*60 + minute; s[0] == '-' {
		minutes = -minutes
	}
	return minutes, ok1 && ok2
}

// twoDigits returns the number that the first two bytes of s are.
func twoDigits(s string, most int) (v int, ok bool) {
	if !isDigit(s[0]) || !isDigit(s[1]) {
		return 0, false
	}
	v = int(s[0]-'0')*10 + int(s[1]-'0')
	return v, v <= most
}
