//! Compiles the schema without `protoc`: protox reads the files, prost writes the types, pbjson their JSON mapping.

use std::error::Error;

const FILES: [&str; 1] = ["shadowcat/config/v1/config.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=shadowcat");
    let mut compiler = protox::Compiler::new(["."])?;
    // Comments in the schema become the documentation of the types; imports bring the files that are not listed.
    compiler.include_source_info(true).include_imports(true).open_files(FILES)?;

    // One order of map entries everywhere, so that equal configurations have equal bytes.
    prost_build::Config::new().btree_map(["."]).compile_fds(compiler.file_descriptor_set())?;
    pbjson_build::Builder::new()
        .register_descriptors(&compiler.encode_file_descriptor_set())?
        .preserve_proto_field_names()
        .btree_map(["."])
        .build(&[".shadowcat"])?;
    Ok(())
}
