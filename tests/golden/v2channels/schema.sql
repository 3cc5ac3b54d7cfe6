CREATE TABLE approvals (
        PartitionKey TEXT NOT NULL,
        RowKey TEXT NOT NULL,
        ETag INTEGER NOT NULL,
        Due INTEGER,
        Entity TEXT NOT NULL,
        PRIMARY KEY (PartitionKey, RowKey)
    ) STRICT;
CREATE TABLE standingapprovals (
        PartitionKey TEXT NOT NULL,
        RowKey TEXT NOT NULL,
        ETag INTEGER NOT NULL,
        Due INTEGER,
        Entity TEXT NOT NULL,
        PRIMARY KEY (PartitionKey, RowKey)
    ) STRICT;
CREATE TABLE decidedapprovals (
        PartitionKey TEXT NOT NULL,
        RowKey TEXT NOT NULL,
        ETag INTEGER NOT NULL,
        Due INTEGER,
        Entity TEXT NOT NULL,
        PRIMARY KEY (PartitionKey, RowKey)
    ) STRICT;
CREATE INDEX openapprovals ON approvals (Due, PartitionKey, RowKey)
        WHERE Due IS NOT NULL;
CREATE INDEX waitingapprovals ON approvals (PartitionKey, json_extract(iif(json_valid(Entity), Entity, NULL), '$.Owner')) WHERE Due IS NOT NULL AND json_extract(iif(json_valid(Entity), Entity, NULL), '$.Status') = 'Pending';
