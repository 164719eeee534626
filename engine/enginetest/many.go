package enginetest

import (
	"fmt"
	"runtime"
	"time"

	"github.com/kanava-go/kanava/engine"
)

var manyBehaviours = []behaviour{
	{name: "many topics cost no goroutines", run: testManyTopics},
}

func testManyTopics(l *lab) {
	publisher, n := l.join(), l.join()
	n.probe()
	publisher.probe()
	const number, workers = 5000, 64
	topics := make([]engine.Topic, number)
	for i := range topics {
		topics[i] = l.topic(all[i%len(all)])
	}
	before := runtime.NumGoroutine()
	began := time.Now()
	l.together(workers, func(w int) error {
		for i := w; i < number; i += workers {
			if err := n.trySubscribe(topics[i]); err != nil {
				return err
			}
		}
		return nil
	})
	took := time.Since(began)
	l.Logf("%d topics were subscribed to in %v", number, took)
	if took > l.patience() {
		l.Errorf("that is more than %v", l.patience())
	}
	l.eventually("the goroutines of subscribing end", func() bool { return runtime.NumGoroutine() <= before+number/100 })
	for i := 0; i < number; i += 25 {
		publisher.publish(topics[i], fmt.Sprint(i))
	}
	for i := 0; i < number; i += 25 {
		if got := texts(n.await(topics[i], 1))[0]; got != fmt.Sprint(i) {
			l.Errorf("by topic %d came %q", i, got)
		}
	}
	for _, t := range topics {
		n.Unsubscribe(t)
	}
	n.silent(publisher, topics[0], topics[1], topics[2], topics[3], topics[number-1])
}
