package client

import (
	"bytes"
	"errors"
)

// eventStream reads server-sent events (section 9.2 of the HTML standard) from
// pieces that are cut anywhere. What it keeps is bounded: a line, and the data
// of an event, have at most limit bytes, and the name of a field besides.
type eventStream struct {
	limit int

	begun bool   // the first line, which may begin with a byte order mark, is over
	cr    bool   // the last line has ended with CR: LF belongs to it
	line  []byte // begun, and not ended yet
	name  []byte
	data  []byte
	lines int // of data
}

// streamed is an event or a comment.
type streamed struct {
	name    []byte // empty is a message
	data    []byte
	comment bool
}

// fieldSize is what a line may have beside its value: the name of its field.
const fieldSize = 16

var (
	errLongLine  = errors.New("an event is longer than ReadLimit")
	byteOrder    = []byte("\ufeff")
	lineEnds     = "\r\n"
	fieldOfData  = []byte("data")
	fieldOfEvent = []byte("event")
)

// next takes from piece until there is an event or a comment. It returns what is
// left of piece; found is false when there is nothing left. What it returns is
// gone with the next call.
func (s *eventStream) next(piece []byte) (ev streamed, rest []byte, found bool, _ error) {
	for len(piece) > 0 {
		if s.cr {
			s.cr = false
			if piece[0] == '\n' {
				piece = piece[1:]
				continue
			}
		}
		end := bytes.IndexAny(piece, lineEnds)
		n := end
		if end < 0 {
			n = len(piece)
		}
		if len(s.line)+n > s.limit+fieldSize {
			return ev, nil, false, errLongLine
		}
		if end < 0 {
			s.line = append(s.line, piece...)
			return ev, nil, false, nil
		}
		line := piece[:end]
		if len(s.line) > 0 {
			s.line = append(s.line, line...)
			line = s.line
		}
		s.cr = piece[end] == '\r'
		piece = piece[end+1:]
		ev, found, err := s.take(line)
		s.line = s.line[:0]
		if found || err != nil {
			return ev, piece, found, err
		}
	}
	return ev, nil, false, nil
}

// take takes a line.
func (s *eventStream) take(line []byte) (ev streamed, found bool, _ error) {
	if !s.begun {
		s.begun = true
		line = bytes.TrimPrefix(line, byteOrder)
	}
	if len(line) == 0 {
		return s.dispatch()
	}
	field, value, _ := bytes.Cut(line, []byte{':'})
	value = bytes.TrimPrefix(value, []byte{' '})
	switch {
	case line[0] == ':':
		return streamed{comment: true}, true, nil
	case bytes.Equal(field, fieldOfEvent):
		s.name = append(s.name[:0], value...)
	case bytes.Equal(field, fieldOfData):
		if s.lines == 0 && cap(s.data) > 64<<10 {
			s.data = nil
		}
		if len(s.data)+min(s.lines, 1)+len(value) > s.limit {
			return ev, false, errLongLine
		}
		if s.lines > 0 {
			s.data = append(s.data, '\n')
		}
		s.data = append(s.data, value...)
		s.lines++
	}
	return ev, false, nil
}

// dispatch ends an event. One without data is none.
func (s *eventStream) dispatch() (ev streamed, found bool, _ error) {
	ev = streamed{name: s.name, data: s.data}
	found = s.lines > 0
	s.name, s.data, s.lines = s.name[:0], s.data[:0], 0
	if cap(s.line) > 64<<10 {
		s.line = nil
	}
	return ev, found, nil
}
