// Writes the vectors of messages.hex with Apache Kafka's own classes. Run with the jars of Kafka
// 4.3.1: java -cp "libs/*" GoldenMessages.java > messages.hex
import java.nio.ByteBuffer;
import java.util.HexFormat;
import java.util.List;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.message.*;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.MessageUtil;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.coordinator.group.generated.ConsumerGroupMemberMetadataValue;

public class GoldenMessages {
    static final Uuid ID = new Uuid(0x0102030405060708L, 0x090a0b0c0d0e0f10L);

    static MemoryRecords records() {
        return MemoryRecords.readableRecords(ByteBuffer.wrap(new byte[] {1, 2, 3}));
    }

    static void print(String name, int version, Message message) {
        ByteBuffer buffer = MessageUtil.toByteBufferAccessor(message, (short) version).buffer();
        byte[] bytes = new byte[buffer.remaining()];
        buffer.get(bytes);
        System.out.println(name + " " + version);
        String hex = HexFormat.of().formatHex(bytes);
        for (int at = 0; at < hex.length(); at += 96) {
            System.out.println("  " + hex.substring(at, Math.min(at + 96, hex.length())));
        }
    }

    static FetchRequestData fetch() {
        return new FetchRequestData().setMaxWaitMs(500).setMinBytes(1).setMaxBytes(1 << 20)
            .setIsolationLevel((byte) 1).setTopics(List.of(new FetchRequestData.FetchTopic()
                .setTopic("t").setTopicId(ID)
                .setPartitions(List.of(new FetchRequestData.FetchPartition().setPartition(2)
                    .setFetchOffset(77).setPartitionMaxBytes(4096)))));
    }

    static FetchResponseData fetched() {
        return new FetchResponseData().setResponses(List.of(
            new FetchResponseData.FetchableTopicResponse().setTopic("t").setTopicId(ID)
                .setPartitions(List.of(new FetchResponseData.PartitionData().setPartitionIndex(2)
                    .setErrorCode((short) 6).setHighWatermark(80).setLastStableOffset(79)
                    .setLogStartOffset(3).setAbortedTransactions(null).setRecords(records())))));
    }

    static ProduceResponseData produced() {
        var partition = new ProduceResponseData.PartitionProduceResponse().setIndex(2)
            .setErrorCode((short) 87).setBaseOffset(-1).setErrorMessage("no")
            .setRecordErrors(List.of(new ProduceResponseData.BatchIndexAndErrorMessage()
                .setBatchIndex(1).setBatchIndexErrorMessage("bad")));
        var topic = new ProduceResponseData.TopicProduceResponse().setName("t")
            .setPartitionResponses(List.of(partition));
        var topics = new ProduceResponseData.TopicProduceResponseCollection();
        topics.add(topic);
        return new ProduceResponseData().setThrottleTimeMs(5).setResponses(topics);
    }

    static JoinGroupRequestData join() {
        var protocols = new JoinGroupRequestData.JoinGroupRequestProtocolCollection();
        protocols.add(new JoinGroupRequestData.JoinGroupRequestProtocol().setName("range")
            .setMetadata(new byte[] {0, 1}));
        return new JoinGroupRequestData().setGroupId("g").setSessionTimeoutMs(45000)
            .setRebalanceTimeoutMs(300000).setProtocolType("consumer").setProtocols(protocols);
    }

    static DescribeTopicPartitionsResponseData described() {
        var topics = new DescribeTopicPartitionsResponseData
            .DescribeTopicPartitionsResponseTopicCollection();
        topics.add(new DescribeTopicPartitionsResponseData.DescribeTopicPartitionsResponseTopic()
            .setName("t").setTopicId(ID).setPartitions(List.of(
                new DescribeTopicPartitionsResponseData
                .DescribeTopicPartitionsResponsePartition().setLeaderId(1).setLeaderEpoch(4)
                .setReplicaNodes(List.of(1)).setIsrNodes(List.of(1))
                .setEligibleLeaderReplicas(List.of()))));
        return new DescribeTopicPartitionsResponseData().setTopics(topics);
    }

    public static void main(String[] args) {
        print("FetchRequest", 4, fetch());
        print("FetchRequest", 12, fetch().setClusterId("c").setRackId("r"));
        var follower = fetch().setReplicaState(
            new FetchRequestData.ReplicaState().setReplicaId(3).setReplicaEpoch(8));
        follower.topics().get(0).partitions().get(0).setReplicaDirectoryId(ID);
        print("FetchRequest", 17, follower);
        print("FetchResponse", 4, fetched());
        var moved = fetched().setSessionId(9);
        var partition = moved.responses().get(0).partitions().get(0);
        partition.currentLeader().setLeaderId(4).setLeaderEpoch(5);
        moved.nodeEndpoints().add(
            new FetchResponseData.NodeEndpoint().setNodeId(4).setHost("h").setPort(9092));
        print("FetchResponse", 16, moved);
        print("ProduceResponse", 8, produced());
        print("ProduceResponse", 9, produced());
        print("JoinGroupRequest", 5, join());
        print("JoinGroupRequest", 9, join().setGroupInstanceId("i").setReason("why"));
        print("DescribeTopicPartitionsResponse", 0, described());
        print("DescribeTopicPartitionsResponse", 0, described().setNextCursor(
            new DescribeTopicPartitionsResponseData.Cursor().setTopicName("u")));
        print("ConsumerGroupMemberMetadataValue", 0, new ConsumerGroupMemberMetadataValue());
        print("ConsumerGroupMemberMetadataValue", 0,
            new ConsumerGroupMemberMetadataValue().setClassicMemberMetadata(null));
    }
}
