//! What a library's ELF structures say, read without loading it. A plain refusal here is kinder than a dead worker; what
//! a hostile library can do in spite of it is the sandbox's business.

use migraine_plugin_api::MANIFEST_SECTION;
use object::LittleEndian;
use object::elf;
use object::read::elf::{Dyn as _, FileHeader as _, ProgramHeader as _, SectionHeader as _, Sym as _};

use super::target::{OWN, Target};
use super::{MANIFEST_MAX, PackageError, UNPACKED_MAX, limit};
use crate::controls::{Check, makes};

type Header = elf::FileHeader64<LittleEndian>;
type Segment = elf::ProgramHeader64<LittleEndian>;
type Section = elf::SectionHeader64<LittleEndian>;

const LE: LittleEndian = LittleEndian;
/// Entries that would make the dynamic linker look elsewhere or run something else (elf.h).
const FORBIDDEN_TAGS: [(elf::DynamicTag, &str); 7] = [
    (elf::DT_RPATH, "DT_RPATH"),
    (elf::DT_RUNPATH, "DT_RUNPATH"),
    (elf::DT_AUDIT, "DT_AUDIT"),
    (elf::DT_DEPAUDIT, "DT_DEPAUDIT"),
    (elf::DT_FILTER, "DT_FILTER"),
    (elf::DT_AUXILIARY, "DT_AUXILIARY"),
    (elf::DT_CONFIG, "DT_CONFIG"),
];

const SEGMENTS_MAX: usize = 64;
const SECTIONS_MAX: usize = 4096;
const DYNAMIC_MAX: usize = 1024;
const IMPORTS_MAX: usize = 8192;
const NAME_MAX: usize = 1024;
const COMPILERS_MAX: usize = 64;
/// The most address space a library may span, in bytes.
const SPAN_MAX: u64 = 256 << 20;
/// The most thread-local storage, in bytes.
const TLS_MAX: u64 = 1 << 20;
const ALIGN_MAX: u64 = 2 << 20;
const PAGE: u64 = 4096;

/// What the rest of the host wants to know of a library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElfFacts {
    /// The content of the manifest section.
    pub manifest: Vec<u8>,
    /// The libraries it needs, in its order.
    pub needed: Vec<String>,
    /// The symbols it takes from them, sorted; as the section table says, so for people and not for decisions.
    pub imports: Vec<String>,
    /// How it is protected against faults of its own.
    pub hardening: Hardening,
    /// What its compilers say of themselves (the section `.comment`), for people and not for decisions.
    pub compilers: Vec<String>,
}

/// What the linker and the compiler were told to do about faults in the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hardening {
    /// Tables of addresses are read-only once it is loaded (`PT_GNU_RELRO`).
    pub relro: bool,
    /// All symbols are bound when it is loaded, so that those tables can be read-only as a whole (`DF_BIND_NOW`).
    pub bind_now: bool,
    /// Code in C checks its stack frames (`__stack_chk_fail` is imported).
    pub stack_protector: bool,
}

/// Checks a library for this machine.
///
/// # Errors
/// It is damaged, for another machine, needs or asks for what no plugin gets, or holds no manifest.
pub fn inspect(library: &[u8]) -> Result<ElfFacts, PackageError> {
    inspect_for(library, OWN)
}

/// Checks a library for some machine.
///
/// # Errors
/// As [`inspect`].
pub fn inspect_for(library: &[u8], target: &Target) -> Result<ElfFacts, PackageError> {
    if u64::try_from(library.len()).is_ok_and(|size| size > UNPACKED_MAX) {
        return Err(limit("the library", "64 MiB"));
    }
    if !library.starts_with(&elf::ELFMAG) {
        return Err(PackageError::NotAPlugin { reason: "it is not an ELF library" });
    }
    let header = Header::parse(library).map_err(damaged("its ELF header"))?;
    if makes(Check::ElfForm) {
        check_header(header, target)?;
    }
    let segments = header.program_headers(LE, library).map_err(damaged("its program headers"))?;
    if makes(Check::ElfForm) {
        check_segments(segments, library.len())?;
    }
    let Dynamic { needed, bind_now } = read_dynamic(segments, library, target)?;
    let sections = header.section_headers(LE, library).map_err(damaged("its section headers"))?;
    if sections.len() > SECTIONS_MAX {
        return refuse("it has more than 4096 sections");
    }
    let manifest = find_manifest(header, sections, library)?;
    let imports = read_imports(sections, library)?;
    let hardening = Hardening {
        relro: segments.iter().any(|segment| segment.p_type(LE) == elf::PT_GNU_RELRO),
        bind_now,
        stack_protector: imports.iter().any(|name| name == "__stack_chk_fail"),
    };
    let compilers = read_compilers(header, sections, library);
    Ok(ElfFacts { manifest, needed, imports, hardening, compilers })
}

/// Checks that a file is a program of this kind of machine. What it does is the sandbox's business.
///
/// # Errors
/// It is no ELF file, or for another machine.
pub fn inspect_program(program: &[u8]) -> Result<(), PackageError> {
    if !program.starts_with(&elf::ELFMAG) {
        return refuse("it is no ELF program; name what runs it as `interpreter`");
    }
    check_machine(Header::parse(program).map_err(damaged("its ELF header"))?, OWN)
}

/// Where a program of the system names what loads it: offset and length in the file. `head` is the file's beginning;
/// nothing where it loads itself, or is no program.
#[must_use]
pub fn interpreter(head: &[u8]) -> Option<(u64, u64)> {
    let header = Header::parse(head).ok()?;
    let segments = header.program_headers(LE, head).ok()?;
    let names = segments.iter().find(|segment| segment.p_type(LE) == elf::PT_INTERP)?;
    Some((names.p_offset(LE), names.p_filesz(LE)))
}

fn refuse<T>(reason: &str) -> Result<T, PackageError> {
    Err(PackageError::Elf { reason: reason.to_owned() })
}

fn damaged(what: &'static str) -> impl Fn(object::read::Error) -> PackageError {
    move |error| PackageError::Elf { reason: format!("{what} cannot be read: {error}") }
}

fn check_machine(header: &Header, target: &Target) -> Result<(), PackageError> {
    if !header.is_class_64() || !header.is_little_endian() {
        return refuse("it is not 64-bit little endian");
    }
    if header.e_machine(LE) != target.machine {
        return refuse("it was built for another kind of machine");
    }
    Ok(())
}

fn check_header(header: &Header, target: &Target) -> Result<(), PackageError> {
    check_machine(header, target)?;
    if header.e_type(LE) != elf::ET_DYN {
        return refuse("it is not a shared library");
    }
    if !matches!(header.e_ident().os_abi, elf::ELFOSABI_SYSV | elf::ELFOSABI_GNU) {
        return refuse("it was built for another operating system");
    }
    Ok(())
}

fn check_segments(segments: &[Segment], file_len: usize) -> Result<(), PackageError> {
    if segments.len() > SEGMENTS_MAX {
        return refuse("it has more than 64 segments");
    }
    let file_len = u64::try_from(file_len).unwrap_or(u64::MAX);
    let mut end_of_last = 0;
    let mut stack = false;
    for segment in segments {
        let (offset, in_file) = segment.file_range(LE);
        let in_memory = segment.p_memsz(LE);
        if offset.checked_add(in_file).is_none_or(|end| end > file_len) {
            return refuse("a segment reaches over the end of the file");
        }
        let flags = segment.p_flags(LE);
        match segment.p_type(LE) {
            elf::PT_INTERP => return refuse("it is a program, not a library"),
            elf::PT_GNU_STACK if flags.contains(elf::PF_X) => return refuse("it asks for an executable stack"),
            elf::PT_GNU_STACK => stack = true,
            elf::PT_TLS if in_memory > TLS_MAX => return refuse("it asks for more than 1 MiB of thread-local storage"),
            elf::PT_LOAD => {
                if flags.contains(elf::PF_W) && flags.contains(elf::PF_X) {
                    return refuse("a segment is both writable and executable");
                }
                end_of_last = check_load(segment, end_of_last)?;
            }
            _ => {}
        }
    }
    if end_of_last == 0 {
        return refuse("it has nothing to load");
    }
    // Without the header the dynamic linker makes the stack executable.
    if !stack {
        return refuse("it does not say that its stack is not executable (PT_GNU_STACK)");
    }
    Ok(())
}

/// Where the segment ends in memory.
fn check_load(segment: &Segment, end_of_last: u64) -> Result<u64, PackageError> {
    let (offset, in_file) = segment.file_range(LE);
    let (start, in_memory, align) = (segment.p_vaddr(LE), segment.p_memsz(LE), segment.p_align(LE));
    if in_file > in_memory {
        return refuse("a segment is larger in the file than in memory");
    }
    let end = start.checked_add(in_memory).filter(|end| *end <= SPAN_MAX);
    let Some(end) = end else {
        return refuse("it spans more than 256 MiB of memory");
    };
    if start < end_of_last {
        return refuse("its segments overlap or are not in order");
    }
    if !align.is_power_of_two() || align > ALIGN_MAX || start % align.max(PAGE) != offset % align.max(PAGE) {
        return refuse("a segment is not aligned");
    }
    Ok(end)
}

/// What the dynamic section says.
struct Dynamic {
    needed: Vec<String>,
    bind_now: bool,
}

/// Reads the dynamic section as the dynamic linker does: through the loaded segments, not through the section table.
fn read_dynamic(segments: &[Segment], library: &[u8], target: &Target) -> Result<Dynamic, PackageError> {
    let mut tables = segments.iter().filter(|segment| segment.p_type(LE) == elf::PT_DYNAMIC);
    let (Some(table), None) = (tables.next(), tables.next()) else {
        return refuse("it has not exactly one dynamic section");
    };
    let (offset, size) = table.file_range(LE);
    // Bytes that the file has and memory has not would be read here and not there.
    if !at_address(segments, table.p_vaddr(LE)).is_some_and(|(mapped, rest)| mapped == offset && size <= rest) {
        return refuse("its dynamic section is not where it is loaded");
    }
    let entries = table.dynamic(LE, library).map_err(damaged("its dynamic section"))?.unwrap_or_default();
    let Some(count) = entries.iter().take(DYNAMIC_MAX).position(|entry| entry.d_tag(LE) == elf::DT_NULL) else {
        return refuse("its dynamic section has no end or more than 1024 entries");
    };
    let entries: Vec<_> = entries[..count].iter().map(|entry| (entry.d_tag(LE), entry.d_val(LE))).collect();
    let mut bind_now = false;
    for (tag, value) in &entries {
        if let Some((_, name)) = FORBIDDEN_TAGS.iter().find(|(forbidden, _)| forbidden == tag)
            && makes(Check::Dynamic)
        {
            return Err(PackageError::ElfDynamic { tag: name });
        }
        let is_flag = |flags: elf::DynamicTag, bits: u64| *tag == flags && value & bits != 0;
        if *tag == elf::DT_TEXTREL || is_flag(elf::DT_FLAGS, elf::DF_TEXTREL.0) {
            return refuse("its code must be changed to be loaded (DT_TEXTREL): build it position-independent");
        }
        if is_flag(elf::DT_FLAGS_1, elf::DF_1_PIE.0) {
            return refuse("it is a program, not a library");
        }
        bind_now |= *tag == elf::DT_BIND_NOW
            || is_flag(elf::DT_FLAGS, elf::DF_BIND_NOW.0)
            || is_flag(elf::DT_FLAGS_1, elf::DF_1_NOW.0);
    }
    let strings = read_strings(segments, library, &entries)?;
    let needed = entries.iter().filter(|(tag, _)| *tag == elf::DT_NEEDED);
    let needed: Vec<_> = needed.map(|(_, name)| string_at(strings, *name)).collect::<Result<_, _>>()?;
    match needed.iter().find(|name| !target.provides(name)) {
        Some(library) if makes(Check::Needed) => Err(PackageError::ElfDependency { library: library.clone() }),
        _ => Ok(Dynamic { needed, bind_now }),
    }
}

/// The dynamic string table. Two of a kind would leave it open which one the dynamic linker takes.
fn read_strings<'data>(
    segments: &[Segment],
    library: &'data [u8],
    entries: &[(elf::DynamicTag, u64)],
) -> Result<&'data [u8], PackageError> {
    let only = |wanted| {
        let mut found = entries.iter().filter(|(tag, _)| *tag == wanted);
        found.next().filter(|_| found.next().is_none()).map(|(_, value)| *value)
    };
    let (Some(address), Some(size)) = (only(elf::DT_STRTAB), only(elf::DT_STRSZ)) else {
        return refuse("it has not exactly one string table");
    };
    let table = at_address(segments, address).filter(|(_, rest)| size <= *rest).and_then(|(offset, _)| {
        let start = usize::try_from(offset).ok()?;
        library.get(start..start.checked_add(usize::try_from(size).ok()?)?)
    });
    table.map_or_else(|| refuse("its string table is not loaded"), Ok)
}

/// The file offset of a loaded address and how many bytes of its segment follow in the file.
fn at_address(segments: &[Segment], address: u64) -> Option<(u64, u64)> {
    segments.iter().filter(|segment| segment.p_type(LE) == elf::PT_LOAD).find_map(|segment| {
        let (offset, in_file) = segment.file_range(LE);
        let inside = address.checked_sub(segment.p_vaddr(LE)).filter(|inside| *inside < in_file)?;
        Some((offset + inside, in_file - inside))
    })
}

/// A bounded look for the end: names that run on for megabytes would make reading many of them slow.
fn string_at(table: &[u8], offset: u64) -> Result<String, PackageError> {
    let bytes = usize::try_from(offset).ok().and_then(|start| table.get(start..)).unwrap_or_default();
    let name = bytes.iter().take(NAME_MAX).position(|byte| *byte == 0).map(|end| &bytes[..end]);
    match name.and_then(|name| std::str::from_utf8(name).ok()) {
        Some(name) => Ok(name.to_owned()),
        None => refuse("a name in its string table is cut, too long or not UTF-8"),
    }
}

fn find_manifest(header: &Header, sections: &[Section], library: &[u8]) -> Result<Vec<u8>, PackageError> {
    let absent = PackageError::NotAPlugin { reason: "it has no manifest section" };
    let mut found = named_sections(header, sections, library, MANIFEST_SECTION)?.into_iter();
    let section = found.next().ok_or(absent)?;
    if found.next().is_some() {
        return refuse("it has two manifest sections");
    }
    if section.sh_type(LE) != elf::SHT_PROGBITS || section.sh_flags(LE).contains(elf::SHF_COMPRESSED) {
        return refuse("its manifest section is not plain data");
    }
    let manifest = section.data(LE, library).map_err(damaged("its manifest section"))?;
    if manifest.len() > MANIFEST_MAX {
        return Err(limit("the manifest", "256 KiB"));
    }
    Ok(manifest.to_vec())
}

/// The sections of a name.
fn named_sections<'a>(
    header: &Header,
    sections: &'a [Section],
    library: &[u8],
    name: &str,
) -> Result<Vec<&'a Section>, PackageError> {
    if sections.is_empty() {
        return Ok(Vec::new());
    }
    let names = header.section_strings_index(LE, library).map_err(damaged("its section names"))?;
    let Some(names) = sections.get(names.0) else { return Ok(Vec::new()) };
    let names = names.data(LE, library).map_err(damaged("its section names"))?;
    let wanted = [name.as_bytes(), b"\0"].concat();
    let has_name = |section: &&Section| {
        let start = usize::try_from(section.sh_name(LE)).ok();
        start.and_then(|start| names.get(start..)).is_some_and(|name| name.starts_with(&wanted))
    };
    Ok(sections.iter().filter(has_name).collect())
}

/// The lines of the section `.comment`; what cannot be read says nothing.
fn read_compilers(header: &Header, sections: &[Section], library: &[u8]) -> Vec<String> {
    let section = named_sections(header, sections, library, ".comment").unwrap_or_default();
    let bytes = section.first().and_then(|section| section.data(LE, library).ok()).unwrap_or_default();
    let lines = bytes.split(|byte| *byte == 0).filter(|line| !line.is_empty() && line.len() <= NAME_MAX);
    let mut lines: Vec<String> =
        lines.take(COMPILERS_MAX).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    lines.sort();
    lines.dedup();
    lines
}

fn read_imports(sections: &[Section], library: &[u8]) -> Result<Vec<String>, PackageError> {
    let Some(table) = sections.iter().find(|section| section.sh_type(LE) == elf::SHT_DYNSYM) else {
        return Ok(Vec::new());
    };
    let symbols: &[elf::Sym64<LittleEndian>] = table.data_as_array(LE, library).map_err(damaged("its symbol table"))?;
    let strings = sections.get(table.link(LE).0);
    let strings = match strings {
        Some(strings) => strings.data(LE, library).map_err(damaged("its symbol names"))?,
        None => return refuse("its symbols have no names"),
    };
    // The first entry of every table is undefined by definition and has no name.
    let undefined = symbols.iter().skip(1).filter(|symbol| symbol.is_undefined(LE));
    let mut imports = Vec::new();
    for symbol in undefined {
        if imports.len() == IMPORTS_MAX {
            return refuse("it takes more than 8192 symbols from other libraries");
        }
        imports.push(string_at(strings, u64::from(symbol.st_name(LE)))?);
    }
    imports.sort();
    imports.dedup();
    Ok(imports)
}

#[cfg(test)]
mod tests;
