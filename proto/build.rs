//! Compiles the schema without `protoc`: protox reads the files, prost writes the types, tonic the services, pbjson the JSON
//! mapping.

use std::error::Error;
use std::path::PathBuf;

const FILES: [&str; 3] =
    ["shadowcat/config/v1/config.proto", "shadowcat/fleet/v1/fleet.proto", "shadowcat/admin/v1/admin.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=shadowcat");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    let mut compiler = protox::Compiler::new(["."])?;
    // Comments in the schema become the documentation of the types; imports bring the files that are not listed.
    compiler.include_source_info(true).include_imports(true).open_files(FILES)?;
    let descriptors = compiler.encode_file_descriptor_set();
    std::fs::write(out.join("descriptors.bin"), &descriptors)?;

    let mut prost = prost_build::Config::new();
    // One order of map entries everywhere, so that equal configurations have equal bytes.
    prost.btree_map(["."]).compile_well_known_types().extern_path(".google.protobuf", "::pbjson_types");
    // A chunk of a snapshot is one of many that share their buffer.
    prost.bytes([".shadowcat.fleet.v1"]);
    tonic_prost_build::configure()
        .build_transport(false)
        .compile_fds_with_config(compiler.file_descriptor_set(), prost)?;
    pbjson_build::Builder::new()
        .register_descriptors(&descriptors)?
        .preserve_proto_field_names()
        .btree_map(["."])
        .build(&[".shadowcat"])?;
    Ok(())
}
