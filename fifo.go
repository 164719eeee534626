package kanava

// fifo is a queue that is usually short: what comes first leaves first. It
// keeps next to no memory while it is empty. The zero value is empty.
type fifo[T any] struct {
	items []T // items[head:] wait
	head  int
}

// kept is how many places an empty fifo keeps.
const kept = 4

func (q *fifo[T]) len() int { return len(q.items) - q.head }

func (q *fifo[T]) push(v T) {
	if q.head > 0 && len(q.items) == cap(q.items) { // use the places that are free again
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	q.items = append(q.items, v)
}

// at returns the i-th that waits.
func (q *fifo[T]) at(i int) *T { return &q.items[q.head+i] }

// first returns what pop will; the queue must not be empty.
func (q *fifo[T]) first() *T { return &q.items[q.head] }

func (q *fifo[T]) pop() T {
	var zero T
	v := q.items[q.head]
	q.items[q.head] = zero
	q.head++
	if q.head == len(q.items) {
		q.head = 0
		if cap(q.items) > kept {
			q.items = nil
		} else {
			q.items = q.items[:0]
		}
	}
	return v
}
