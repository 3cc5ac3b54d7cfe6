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
CREATE INDEX openapprovals ON approvals (Due, PartitionKey, RowKey)
        WHERE Due IS NOT NULL;
CREATE INDEX openagents ON approvals (PartitionKey) WHERE Due IS NOT NULL;
