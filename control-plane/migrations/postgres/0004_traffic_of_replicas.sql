-- What calls came to of late at each replica, for the others: written anew every few seconds, so that nothing is lost with it and it is
-- worth no log.
CREATE UNLOGGED TABLE traffic (
    fleet TEXT COLLATE "C" NOT NULL,
    replica TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    sums BYTEA NOT NULL,
    PRIMARY KEY (fleet, replica)
);
