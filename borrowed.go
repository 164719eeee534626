package kanava

import "sync"

// borrowed is a fifo that keeps no memory at all while it is empty: what it
// needs it borrows. The zero value is empty.
type borrowed[T any] struct{ queue *fifo[T] }

// lender is where a kind of borrowed gets its memory from.
type lender[T any] struct{ pool sync.Pool }

func (q *borrowed[T]) len() int {
	if q.queue == nil {
		return 0
	}
	return q.queue.len()
}

func (q *borrowed[T]) push(v T, from *lender[T]) {
	if q.queue == nil {
		if q.queue, _ = from.pool.Get().(*fifo[T]); q.queue == nil {
			q.queue = &fifo[T]{}
		}
	}
	q.queue.push(v)
}

// at returns the i-th that waits.
func (q *borrowed[T]) at(i int) *T { return q.queue.at(i) }

func (q *borrowed[T]) pop(from *lender[T]) T {
	v := q.queue.pop()
	if q.queue.len() == 0 {
		from.pool.Put(q.queue)
		q.queue = nil
	}
	return v
}
