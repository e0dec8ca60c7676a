package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// stream produces 0, 1, 2, ... with one idempotent producer until stdin closes, whatever happens to
// the broker meanwhile, then reads everything back. Prints `acked COUNT` now and then, and at the
// end `ok stream` if every number is there once and in order, else `FAIL stream: why`.
func stream(bootstrap, topic string) {
	c := &client{bootstrap: bootstrap}
	producer, err := kgo.NewClient(c.options(
		kgo.DefaultProduceTopic(topic), kgo.AllowAutoTopicCreation(),
		// A lost record must be seen, not be smoothed over with a new producer id.
		kgo.StopProducerOnDataLossDetected(), kgo.UnknownTopicRetries(-1),
		kgo.MaxBufferedRecords(2_000), kgo.ProducerBatchMaxBytes(16_000),
		kgo.RetryBackoffFn(func(int) time.Duration { return 5 * time.Millisecond }),
		kgo.RecordRetries(1_000_000), kgo.RequestRetries(1_000_000),
		kgo.RetryTimeout(time.Minute),
		kgo.MetadataMinAge(10*time.Millisecond))...)
	if err != nil {
		fmt.Println("FAIL stream:", err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
		cancel()
	}()
	var acked atomic.Int64
	go func() {
		for range time.Tick(20 * time.Millisecond) {
			fmt.Println("acked", acked.Load())
		}
	}()
	sent := int64(0)
	for ; ctx.Err() == nil; sent++ {
		r := &kgo.Record{Value: fmt.Appendf(nil, "%d padding %0200d", sent, sent)}
		producer.Produce(context.Background(), r, func(r *kgo.Record, err error) {
			if err != nil {
				fmt.Printf("FAIL stream: %.20s: %v\n", r.Value, err)
				os.Exit(1)
			}
			acked.Add(1)
		})
		// Bursts that fill the pipeline: a broker that dies then has several batches of which the
		// producer heard nothing. Pauses between them, to keep the log short.
		if sent%2_000 == 0 {
			time.Sleep(20 * time.Millisecond)
		}
	}
	if err := check(producer, c, topic, sent); err != nil {
		fmt.Println("FAIL stream:", err)
		return
	}
	fmt.Println("acked", acked.Load())
	fmt.Println("ok stream")
}

func check(producer *kgo.Client, c *client, topic string, sent int64) error {
	ctx, cancel := within()
	defer cancel()
	if err := producer.Flush(ctx); err != nil {
		return fmt.Errorf("flush: %w", err)
	}
	consumer, err := kgo.NewClient(c.options(
		kgo.FetchMaxWait(100*time.Millisecond),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{
			topic: {0: kgo.NewOffset().AtStart()},
		}))...)
	if err != nil {
		return err
	}
	for next := int64(0); next < sent; {
		ctx, cancel := within()
		fetches := consumer.PollFetches(ctx)
		cancel()
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("read from %d: %w", next, err)
		}
		for _, r := range fetches.Records() {
			wanted := fmt.Sprintf("%d padding %0200d", next, next)
			if string(r.Value) != wanted || r.Offset != next {
				return fmt.Errorf("offset %d holds %.20s, expected %d", r.Offset, r.Value, next)
			}
			next++
		}
	}
	return nil
}
