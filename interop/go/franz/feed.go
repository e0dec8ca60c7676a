package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// feed does what the groups lane asks for, a line each, through restarts of the broker:
//
//	create TOPIC PARTITIONS     `created`
//	send TOPIC PARTITIONS N     N records to each partition: `sent`
//	offsets GROUP TOPIC         `offsets P:OFFSET ...` as the group has committed them
//
// Anything that does not work is `FAIL why`.
func feed(bootstrap string) {
	c := &client{bootstrap: bootstrap}
	producer, err := kgo.NewClient(c.options(
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.UnknownTopicRetries(-1),
		kgo.ProducerLinger(2*time.Millisecond), kgo.RetryTimeout(time.Minute),
		kgo.MetadataMinAge(10*time.Millisecond), kgo.MaxBufferedRecords(200_000))...)
	if err != nil {
		fmt.Println("FAIL", err)
		return
	}
	f := feeder{producer, kadm.NewClient(producer)}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		answer, err := f.answer(strings.Fields(lines.Text()))
		if err != nil {
			answer = "FAIL " + strings.ReplaceAll(err.Error(), "\n", " ")
		}
		fmt.Println(answer)
	}
}

type feeder struct {
	producer *kgo.Client
	admin    *kadm.Client
}

func (f feeder) answer(words []string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*timeout)
	defer cancel()
	var partitions, count int
	switch words[0] {
	case "create":
		fmt.Sscan(words[2], &partitions)
		_, err := f.admin.CreateTopic(ctx, int32(partitions), 1, nil, words[1])
		return "created", err
	case "send":
		fmt.Sscan(words[2]+" "+words[3], &partitions, &count)
		var records []*kgo.Record
		for n := range partitions * count {
			records = append(records, &kgo.Record{
				Topic: words[1], Partition: int32(n % partitions), Value: fmt.Append(nil, n),
			})
		}
		return "sent", f.producer.ProduceSync(ctx, records...).FirstErr()
	default:
		offsets, err := f.admin.FetchOffsets(ctx, words[1])
		answer := "offsets"
		for _, o := range sorted(offsets[words[2]]) {
			answer += fmt.Sprintf(" %d:%d", o.Partition, o.At)
		}
		return answer, err
	}
}

func sorted(offsets map[int32]kadm.OffsetResponse) []kadm.OffsetResponse {
	var list []kadm.OffsetResponse
	for _, offset := range offsets {
		list = append(list, offset)
	}
	slices.SortFunc(list, func(a, b kadm.OffsetResponse) int {
		return int(a.Partition - b.Partition)
	})
	return list
}
