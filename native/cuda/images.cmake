# secateur_images(TARGET FILES...): compiles each .cu file to a fatbin (machine code for every architecture, and PTX for
# those to come) and links it into TARGET as the symbol secateur_image_<stem>. The machine code and the PTX stay in
# images/<stem>/ for those who want to look at them (npm run bench -- kernels).
function(secateur_images target)
  set(generate -gencode arch=compute_80,code=compute_80)
  foreach(architecture ${SECATEUR_CUDA_ARCHITECTURES})
    list(APPEND generate -gencode arch=compute_${architecture},code=sm_${architecture})
  endforeach()
  # The PTX names its lines, for the simulator (and for a profiler, with CUDA_FORCE_PTX_JIT=1). The machine code does
  # not: for four architectures the tables would be two thirds of the library.
  set(flags -std=c++17 --compress-mode=size -Xcicc -generate-line-info -Xptxas --suppress-debug-info -Werror all-warnings
    -Xptxas --warn-on-spills,--warn-on-local-memory-usage,--warn-on-double-precision-use,--warning-as-error
    -I${CMAKE_SOURCE_DIR}/native/src -I${CMAKE_SOURCE_DIR}/native/cuda)
  foreach(source ${ARGN})
    get_filename_component(stem ${source} NAME_WE)
    set(image ${CMAKE_BINARY_DIR}/images/${stem}.fatbin)
    set(parts ${CMAKE_BINARY_DIR}/images/${stem})
    add_custom_command(OUTPUT ${image}
      COMMAND ${CMAKE_COMMAND} -E rm -rf ${parts}
      COMMAND ${CMAKE_COMMAND} -E make_directory ${parts}
      COMMAND ${NVCC} -fatbin ${flags} ${generate} --keep --keep-dir ${parts} -MD -MF ${image}.d -MT images/${stem}.fatbin -o ${image} ${source}
      COMMAND find ${parts} -type f -not -name *.cubin -not -name *.ptx -delete
      DEPENDS ${source} DEPFILE ${image}.d VERBATIM COMMENT "CUDA kernels of ${stem}")
    set(holder ${CMAKE_BINARY_DIR}/images/${stem}.image.cpp)
    file(CONFIGURE OUTPUT ${holder} @ONLY CONTENT [[
asm(R"(.pushsection .nv_fatbin,"a"
.balign 8
.global secateur_image_@stem@
.hidden secateur_image_@stem@
secateur_image_@stem@:
.incbin "@image@"
.popsection)");
]])
    set_source_files_properties(${holder} PROPERTIES OBJECT_DEPENDS ${image})
    target_sources(${target} PRIVATE ${holder})
  endforeach()
endfunction()
