// Reads a Parquet file with a reader that nobody here wrote: parquet_rows.mjs FILE. Prints the types of its columns, the rows of each
// group, how the columns are packed, and all rows, as one JSON document.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { zstdDecompressSync } from 'node:zlib';

const require = createRequire(`${process.env.LAB_PACKAGES}/package.json`);
const { parquetMetadata, parquetReadObjects } = await import(pathToFileURL(require.resolve('hyparquet')).href);

const bytes = readFileSync(process.argv[2]);
const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
const metadata = parquetMetadata(file);
const rows = await parquetReadObjects({ file, compressors: { ZSTD: (packed) => zstdDecompressSync(packed) } });

const kind = ({ type, logical_type: logical }) =>
  [type, logical?.type, logical?.unit, logical && 'isAdjustedToUTC' in logical ? (logical.isAdjustedToUTC ? 'UTC' : 'local') : undefined].filter(Boolean).join(' ');
const told = {
  columns: Object.fromEntries(metadata.schema.slice(1).map((column) => [column.name, kind(column)])),
  groups: metadata.row_groups.map((group) => Number(group.num_rows)),
  codecs: [...new Set(metadata.row_groups.flatMap((group) => group.columns.map((column) => column.meta_data.codec)))],
  rows,
};
console.log(JSON.stringify(told, (_, value) => (typeof value === 'bigint' ? Number(value) : value)));
