package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// relay produces what it is told to, one idempotent record a line, until stdin ends:
//
//	NUMBER TOPIC PARTITION KEY VALUE    both in hex, a missing key as `-`
//
// Prints `acked NUMBER OFFSET` or `lost NUMBER why` for each.
func relay(bootstrap string) {
	c := &client{bootstrap: bootstrap}
	producer, err := kgo.NewClient(c.options(
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.UnknownTopicRetries(-1),
		kgo.StopProducerOnDataLossDetected(), kgo.AlwaysRetryEOF(),
		kgo.RetryBackoffFn(func(int) time.Duration { return 5 * time.Millisecond }),
		kgo.RecordRetries(1_000_000), kgo.RequestRetries(1_000_000),
		kgo.RetryTimeout(time.Minute), kgo.MetadataMinAge(10*time.Millisecond))...)
	if err != nil {
		fmt.Println("FAIL relay:", err)
		return
	}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		words := strings.Split(lines.Text(), " ")
		partition, _ := strconv.Atoi(words[2])
		r := &kgo.Record{Topic: words[1], Partition: int32(partition)}
		if words[3] != "-" {
			r.Key, _ = hex.DecodeString(words[3])
		}
		r.Value, _ = hex.DecodeString(words[4])
		producer.Produce(context.Background(), r, func(r *kgo.Record, err error) {
			if err != nil {
				fmt.Printf("lost %s %v\n", words[0], err)
				return
			}
			fmt.Println("acked", words[0], r.Offset)
		})
	}
	ctx, cancel := within()
	defer cancel()
	if err := producer.Flush(ctx); err != nil {
		fmt.Println("FAIL relay:", err)
	}
}
