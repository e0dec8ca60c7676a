package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	committers = 4
	// Keys of the compacted topic, small enough for the cleaner to have much to drop.
	keys = 50
	// Topics that one worker keeps before it deletes the oldest.
	kept = 4
)

// administer commits offsets, creates and deletes topics and writes to a compacted topic until
// stdin closes, whatever happens to the broker meanwhile, and checks all the time that nothing that
// was acknowledged is lost. Prints `acked COUNT` now and then; at the end
// `topic NAME PARTITIONS ID` for each topic that has to be there, and `ok administer`, or
// `FAIL administer: why` at once.
func administer(bootstrap string) {
	c := &client{bootstrap: bootstrap}
	plain, err := kgo.NewClient(c.options(
		kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.MetadataMinAge(10*time.Millisecond), kgo.RequestRetries(1_000_000),
		kgo.RetryTimeout(time.Minute), kgo.RecordRetries(1_000_000), kgo.UnknownTopicRetries(-1),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(time.Millisecond),
		kgo.RetryBackoffFn(func(int) time.Duration { return 5 * time.Millisecond }))...)
	if err != nil {
		broken(err)
	}
	a := &administrator{client: plain, admin: kadm.NewClient(plain)}
	a.admin.SetTimeoutMillis(10_000)
	stop := make(chan struct{})
	go func() {
		_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
		close(stop)
	}()
	go func() {
		for range time.Tick(20 * time.Millisecond) {
			fmt.Println("acked", a.acked.Load())
		}
	}()
	a.prepare()
	var workers sync.WaitGroup
	topics := map[string]topic{}
	workers.Go(func() { a.topics(stop, topics) })
	workers.Go(func() { a.compacted(stop) })
	for n := range committers {
		workers.Go(func() { a.commits(stop, fmt.Sprint("committer-", n)) })
	}
	workers.Wait()
	for _, name := range slices.Sorted(maps.Keys(topics)) {
		fmt.Println("topic", name, topics[name].partitions, topics[name].id)
	}
	fmt.Println("ok administer")
}

func broken(err error) {
	fmt.Println("FAIL administer:", err)
	os.Exit(1)
}

type administrator struct {
	client *kgo.Client
	admin  *kadm.Client
	acked  atomic.Int64
}

type topic struct {
	partitions int
	id         string
}

// again repeats a call until it is answered, with success or with an error of Kafka's own that is
// not for another try. The client repeats calls, too: the first may have worked unheard of.
func again(what string, call func(context.Context) error) (err error) {
	for start := time.Now(); time.Since(start) < time.Minute; time.Sleep(5 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
		err = call(ctx)
		cancel()
		var answer *kerr.Error
		if err == nil || errors.As(err, &answer) && !answer.Retriable {
			return err
		}
		fmt.Fprintln(os.Stderr, time.Now().Format(time.StampMilli), what, err)
	}
	return fmt.Errorf("%s: not within a minute: %w", what, err)
}

func (a *administrator) prepare() {
	// The smallest segments that there are.
	segment, lag, ratio, policy := "1048576", "0", "0.01", "compact"
	configs := map[string]*string{
		"segment.bytes": &segment, "min.cleanable.dirty.ratio": &ratio,
		"min.compaction.lag.ms": &lag, "cleanup.policy": &policy,
	}
	for name, configs := range map[string]map[string]*string{"committed": nil, "keys": configs} {
		err := again("create "+name, func(ctx context.Context) error {
			_, err := a.admin.CreateTopic(ctx, 1, 1, configs, name)
			return err
		})
		if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
			broken(err)
		}
	}
}

// commits counts the committed offset of a group up, reading it back before each step: it is the
// last acknowledged one, or one of those that were sent after it and never answered.
func (a *administrator) commits(stop <-chan struct{}, group string) {
	acked, sent := int64(-1), int64(-1)
	for open(stop) {
		var found kadm.OffsetResponses
		err := again("fetch "+group, func(ctx context.Context) (err error) {
			found, err = a.admin.FetchOffsets(ctx, group)
			// The answer has ids; a client that cannot ask for their names tells of none.
			if _, unnamed := found[""]; err == nil && unnamed {
				err = errors.New("the client does not know the topic's name")
			}
			return err
		})
		if err != nil {
			broken(err)
		}
		at := int64(-1)
		if offset, there := found.Lookup("committed", 0); there {
			at = offset.At
		}
		if at < acked || at > sent {
			broken(fmt.Errorf("%s has %d, acknowledged was %d, sent %d", group, at, acked, sent))
		}
		for range 20 {
			sent++
			offsets := kadm.Offsets{}
			offsets.AddOffset("committed", 0, sent, -1)
			err := again("commit "+group, func(ctx context.Context) error {
				answers, err := a.admin.CommitOffsets(ctx, group, offsets)
				if err != nil {
					return err
				}
				return answers.Error()
			})
			if err != nil {
				broken(fmt.Errorf("commit of %s: %w", group, err))
			}
			acked = sent
			a.acked.Add(1)
		}
	}
}

func open(stop <-chan struct{}) bool {
	select {
	case <-stop:
		return false
	default:
		return true
	}
}

// topics creates topics of one to five partitions and deletes them some rounds later; each has to
// be there whole from the answer on, and gone from the other answer on.
func (a *administrator) topics(stop <-chan struct{}, alive map[string]topic) {
	var names []string
	for n := 0; open(stop); n++ {
		name, partitions := fmt.Sprint("topic-", n), 1+n%5
		err := again("create "+name, func(ctx context.Context) error {
			_, err := a.admin.CreateTopic(ctx, int32(partitions), 1, nil, name)
			return err
		})
		if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
			broken(fmt.Errorf("create %s: %w", name, err))
		}
		a.acked.Add(1)
		alive[name] = topic{partitions, a.whole(name, partitions)}
		a.write(name, int32(partitions-1), nil, "first")
		names = append(names, name)
		if len(names) > kept {
			a.same(names[0], alive[names[0]])
			a.remove(names[0])
			delete(alive, names[0])
			names = names[1:]
		}
	}
	for _, name := range names {
		a.same(name, alive[name])
	}
}

// same checks that a topic is still there, whole, with its id.
func (a *administrator) same(name string, was topic) {
	if id := a.whole(name, was.partitions); id != was.id {
		broken(fmt.Errorf("%s has id %s, had %s", name, id, was.id))
	}
}

func (a *administrator) remove(name string) {
	err := again("delete "+name, func(ctx context.Context) error {
		_, err := a.admin.DeleteTopic(ctx, name)
		if errors.Is(err, kerr.UnknownTopicOrPartition) {
			// It was there a moment ago: an earlier try has worked.
			err = nil
		}
		return err
	})
	if err != nil {
		broken(fmt.Errorf("delete %s: %w", name, err))
	}
	a.acked.Add(1)
	// The client keeps what it was told for a moment, and a broker may hear of it a little later.
	for start := time.Now(); a.describe(name).Err == nil; time.Sleep(20 * time.Millisecond) {
		if time.Since(start) > 5*time.Second {
			broken(fmt.Errorf("%s is there after it was deleted", name))
		}
	}
}

func (a *administrator) describe(name string) kadm.TopicDetail {
	var found kadm.TopicDetails
	err := again("describe "+name, func(ctx context.Context) (err error) {
		found, err = a.admin.ListTopics(ctx, name)
		return err
	})
	if err != nil {
		broken(err)
	}
	return found[name]
}

// whole waits until all partitions of a topic have a leader; returns the topic's id.
func (a *administrator) whole(name string, partitions int) string {
	found := a.describe(name)
	for start := time.Now(); time.Since(start) < 30*time.Second; found = a.describe(name) {
		led := 0
		for _, partition := range found.Partitions {
			if partition.Err == nil && partition.Leader >= 0 {
				led++
			}
		}
		if found.Err == nil && led == partitions {
			// In Kafka's form of base64.
			return base64.RawURLEncoding.EncodeToString(found.ID[:])
		}
		time.Sleep(5 * time.Millisecond)
	}
	broken(fmt.Errorf("%s is not whole: %v %v", name, found.Err, found.Partitions))
	return ""
}

func (a *administrator) write(topic string, partition int32, key []byte, value string) {
	record := &kgo.Record{Topic: topic, Partition: partition, Key: key, Value: []byte(value)}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := a.client.ProduceSync(ctx, record).FirstErr(); err != nil {
		broken(fmt.Errorf("write to %s: %w", topic, err))
	}
}

// compacted writes ever greater numbers to few keys of a topic that the cleaner works on; in the
// end each key's last number has to be there.
func (a *administrator) compacted(stop <-chan struct{}) {
	last := map[string]string{}
	for n := 0; open(stop); n++ {
		var records []*kgo.Record
		for range 200 {
			key, value := fmt.Sprint("key-", n%keys), fmt.Sprintf("%d %01000d", n, n)
			last[key] = value
			records = append(records, &kgo.Record{
				Topic: "keys", Key: []byte(key), Value: []byte(value),
			})
			n++
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		err := a.client.ProduceSync(ctx, records...).FirstErr()
		cancel()
		if err != nil {
			broken(fmt.Errorf("write to keys: %w", err))
		}
		a.acked.Add(1)
		time.Sleep(10 * time.Millisecond)
	}
	found, offsets := a.readKeys()
	if !maps.Equal(found, last) {
		broken(fmt.Errorf("compacted: %d keys, expected %d: %.300v", len(found), len(last), found))
	}
	fmt.Println("compacted", offsets)
}

// readKeys gives each key's last value, and how many records of how many offsets were read.
func (a *administrator) readKeys() (map[string]string, string) {
	var end kadm.ListedOffset
	err := again("end of keys", func(ctx context.Context) error {
		ends, err := a.admin.ListEndOffsets(ctx, "keys")
		if err != nil {
			return err
		}
		end, _ = ends.Lookup("keys", 0)
		return end.Err
	})
	if err != nil {
		broken(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	seeds := a.client.OptValue(kgo.SeedBrokers).([]string)
	consumer, err := kgo.NewClient(kgo.SeedBrokers(seeds...),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{
			"keys": {0: kgo.NewOffset().AtStart()},
		}))
	if err != nil {
		broken(err)
	}
	defer consumer.Close()
	found, count := map[string]string{}, 0
	for next := int64(0); next < end.Offset; {
		fetches := consumer.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			broken(fmt.Errorf("read of keys from %d of %d: %w", next, end.Offset, err))
		}
		for _, r := range fetches.Records() {
			found[string(r.Key)] = string(r.Value)
			next = r.Offset + 1
			count++
		}
	}
	return found, fmt.Sprintf("%d records of %d offsets", count, end.Offset)
}
