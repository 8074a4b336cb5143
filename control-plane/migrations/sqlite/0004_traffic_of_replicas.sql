-- What calls came to of late at each replica, for the others: written anew every few seconds.
CREATE TABLE traffic (
    fleet TEXT NOT NULL,
    replica TEXT NOT NULL,
    at INTEGER NOT NULL,
    sums BLOB NOT NULL,
    PRIMARY KEY (fleet, replica)
) STRICT;
